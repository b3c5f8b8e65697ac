"""What the commands print for people."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.markup import escape

from analysis.bundle import check_target
from analysis.run import RunFolder, best_of
from analysis.tables import best_table, rows_table, show_params, show_value, space_table
from analysis.trials import Trials
from spaces.experiment import Experiment, Metric
from spaces.problems import printable

if TYPE_CHECKING:
    from search.probe import Probed
    from search.trained import Prediction


ENDED_EARLY = ("running", "stopped", "diverged", "failed")


def print_plan(experiment: Experiment, out: Console) -> None:
    """For ``--dry-run``: the space, ten configurations, the most epochs it can cost."""
    from search.describe import describe_space, most_epochs, usual_epochs
    from search.session import prepare

    prepare(experiment)
    out.print(space_table(describe_space(experiment)))
    out.print("ten configurations, drawn at random:")
    for params in experiment.search_space.samples(10, experiment.seed):
        out.print(f"  {show_params(params)}", soft_wrap=True, markup=False)
    most, usual = most_epochs(experiment), usual_epochs(experiment)
    cost = "no bound on epochs" if most is None else f"at most {most} epochs"
    if usual is not None and most is not None:
        factor = experiment.scheduler.reduction_factor
        cost += f" (about {min(usual, most)} when one trial in {factor} passes each rung)"
    budget = experiment.budget.model_dump(exclude_none=True)
    limits = ", ".join(f"{show_value(value)} {name}" for name, value in budget.items())
    out.print(f"budget: {limits or 'the whole grid'}; {cost}", soft_wrap=True)


def print_outcome(path: Path, coordinator: Any, out: Console) -> int:
    """After a search: the best configurations and what to do next; returns the exit code."""
    trials, experiment = coordinator.trials, coordinator.experiment
    shown_path = escape(str(path))
    if coordinator.is_interrupted:
        out.print(f"interrupted; go on with: shoal resume {shown_path}", soft_wrap=True)
        return 130
    counts = trials.counts()
    if not len(trials):
        print("error: the budget was spent before a trial began", file=sys.stderr)
        return 1
    if counts["failed"] == len(trials):
        reason = (list(trials)[-1].reason or "").strip()
        print(f"error: every trial failed; the last one:\n{reason}", file=sys.stderr)
        return 1
    rows = best_of(trials, experiment.metric, top=5)
    out.print(best_table(rows))
    _print_gain(trials, experiment, rows, out)
    for command, purpose in (
        (f"shoal tensorboard {shown_path}", "look at every trial"),
        (f"shoal export {shown_path} -o bundle", "take the best home, with its weights"),
        (f"shoal resume {shown_path} --trials 20", "search on"),
    ):
        out.print(f"  {command:<58} [dim]{purpose}[/dim]", soft_wrap=True)
    return 0


def _print_gain(
    trials: Trials, experiment: Experiment, rows: list[dict[str, Any]], out: Console
) -> None:
    if experiment.baseline is None or not rows or not len(trials):
        return
    baseline = trials.by_number[0]
    value = baseline.value(experiment.metric)
    if value is not None:
        out.print(
            f"baseline (trial 0): {value:.4f}; the best is trial {rows[0]['trial']} with "
            f"{rows[0]['value']:.4f} (searched, not yet confirmed)",
            soft_wrap=True,
        )


def print_status(status: dict[str, Any], out: Console) -> None:
    """What ``shoal status`` prints."""
    out.print(f"{status['run']}: {status['state']}", soft_wrap=True, markup=False)
    is_live = status["state"] == "running"
    names = {} if is_live else {"running": "unfinished"}
    counts = ", ".join(f"{n} {names.get(state, state)}" for state, n in status["trials"].items())
    out.print(f"trials: {counts}; {status['epochs']} epochs")
    if status["state"] == "interrupted":
        out.print(f"go on with: shoal resume {status['run']}", soft_wrap=True, markup=False)
    if status["best"] is not None:
        out.print(best_table([status["best"]]))


def print_description(found: dict[str, Any], out: Console) -> None:
    """What ``shoal show`` prints."""
    experiment = found["experiment"]
    out.print(experiment["name"], style="bold")
    if experiment.get("question"):
        out.print(printable(experiment["question"]), markup=False)
    if found["layers"]:
        layers = [(row["layer"], f"{row['parameters']:,}") for row in found["layers"]]
        table = rows_table(("layer", "parameters"), layers)
        table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
        table.columns[1].justify, table.columns[1].no_wrap = "right", True
        table.add_section()
        table.add_row("in all (baseline)", f"{found['parameters']:,}")
        out.print(table)
    if found["variants"]:
        rows = [(row["name"], row["parameters"]) for row in found["variants"]]
        out.print(rows_table(("variant", "parameters"), [_counted(*row) for row in rows]))
    out.print(space_table(found["space"]))
    budget = {name: value for name, value in found["budget"].items() if value is not None}
    limits = ", ".join(f"{name.replace('_', ' ')} {show_value(v)}" for name, v in budget.items())
    out.print(f"budget: {limits}")


def _counted(name: str, parameters: int | None) -> tuple[str, str]:
    """A variant's row; the networks of the user's own code are not ours to count."""
    return name, "" if parameters is None else f"{parameters:,}"


def train_and_compare(
    spec: Path, changes: list[str], target: Path | None, out: Console | None
) -> dict[str, Any]:
    """Train one configuration here; a bundle's is compared with what it has on record.

    Args:
        spec: a bundle, its config.yaml, or an experiment file.
        changes: settings to replace, for an experiment file.
        target: a folder for the bundle of this training, if any.
        out: where each epoch is printed, if anywhere.

    Returns:
        The document that ``--json`` prints.
    """
    from search.take_home import read_config, save_training, train_here

    config, recorded = read_config(spec, changes)
    if target is not None:
        check_target(target)

    def print_epoch(report: Any) -> None:
        if out is not None:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
            out.print(f"epoch {report.epoch}: {shown}", soft_wrap=True, markup=False)

    report, training = train_here(config, print_epoch)
    value = report.metrics[config.metric.name]
    if target is not None:
        save_training(config, report, training, target)
    if recorded is None or not math.isfinite(value):
        finite = value if math.isfinite(value) else None
        return {"metric": config.metric.name, "value": finite, "epoch": report.epoch}
    difference = value - recorded["value"]
    if out is not None:
        out.print(
            f"{config.metric.name}: recorded {recorded['value']!r}, retrained {value!r}, "
            f"difference {difference:g}",
            markup=False,
        )
    return {
        "metric": config.metric.name,
        "recorded": recorded["value"],
        "retrained": value,
        "difference": difference,
    }


def print_probes(probed: Sequence[Probed], seeds: int, out: Console) -> None:
    """What ``shoal probe`` prints: for each kind of model, what is left after its depth."""
    from search.probe import SPREADS

    columns = [*probed[0].values, "signal", "all", "gradient", "dead", "flat"]
    rows = []
    for one in probed:
        first, last = one.layers[0], one.layers[-1]
        signal, gradient = (f"{first[m]:.0e}→{last[m]:.0e}" for m in SPREADS)
        shares = [one.mean("dead"), one.mean("saturated")]
        texts = ["" if share is None else f"{share:.0%}" for share in shares]
        over_all = f"{last['activation_std']:.0e}"
        rows.append([*map(show_value, one.values.values()), signal, over_all, gradient, *texts])
    out.print(rows_table(columns, rows))
    out.print(
        "Signal and gradient: the standard deviation across the batch, mean over a layer's units, "
        "in the first and in the last layer; all: the last layer's over units and batch. "
        "Dead: units that vary by less than 0.001; flat: values where a sigmoid or tanh is "
        "saturated, its slope below a tenth of its greatest; means over the layers. "
        f"Medians over {seeds} seed(s).",
        style="dim",
    )


def print_comparison(
    rows: Sequence[dict[str, Any]], metric: Metric, path: Path, out: Console
) -> None:
    """What ``shoal compare`` prints."""
    columns = [*rows[0]["group"], "n", "final", "best", "train", "gap", "to 95 %", *ENDED_EARLY]
    cells = [
        [
            *row["group"].values(),
            row["trials"],
            _mean_sd(row["final"]),
            *(_mean(row[name], 3) for name in ("best", "training", "gap")),
            _mean(row["epochs_to_95"], 1),
            *(row["states"].get(state, "") for state in ENDED_EARLY),
        ]
        for row in rows
    ]
    used = [place for place in range(len(columns)) if any(row[place] != "" for row in cells)]
    out.print(f"{path}: {metric.name}", soft_wrap=True)
    out.print(rows_table([columns[n] for n in used], [[row[n] for n in used] for row in cells]))
    out.print(
        f"{metric.name} of n trials, means (± standard deviation) without those that diverged or "
        "failed; train: the same measure on the "
        "training data, taken while training (dropout included); gap: by how much that is better; "
        "to 95 %: epochs until within 5 % of the best.",
        style="dim",
    )


def _mean(summary: dict[str, Any] | None, digits: int) -> str:
    return "" if summary is None else f"{summary['mean']:.{digits}f}"


def _mean_sd(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return ""
    sd = "" if summary["sd"] is None else f" ± {summary['sd']:.3f}"
    return _mean(summary, 3) + sd


def print_predictions(predictions: Sequence[Prediction], out: Console) -> None:
    """What ``shoal predict`` prints: for each picture its likeliest classes."""
    for one in predictions:
        note = f" ({one.note})" if one.note else ""
        out.print(f"{printable(one.image)}: {one.label}{note}", soft_wrap=True)
        likeliest = sorted(one.probabilities.items(), key=lambda held: -held[1])[:5]
        width = max(len(name) for name, _ in likeliest)
        for name, probability in likeliest:
            bar = "█" * round(30 * probability)
            out.print(f"  {printable(name):<{width}} {probability:7.2%} {bar}", soft_wrap=True)


def serve_tensorboard(
    folder: RunFolder, experiment: Experiment, trials: Trials, top: int | None, port: int
) -> NoReturn:
    """Become TensorBoard, on a run or on a view of its best trials."""
    from analysis.tensorboard import best_view

    shown = folder.tensorboard
    if top is not None:
        shown = folder.path / f"tensorboard-top{top}"
        best_view(
            folder.tensorboard, [t.number for t in trials.ranked(experiment.metric)[:top]], shown
        )
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(shown)]
    command += ["--host", "localhost", "--port", str(port), "--reload_interval", "5"]
    os.execv(sys.executable, command)  # noqa: S606 (signals then reach TensorBoard itself)
