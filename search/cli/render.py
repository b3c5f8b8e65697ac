"""What the commands print for people."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.bundle.bundle import check_target, code_changes
from analysis.display.numbers import number, numbers
from analysis.display.tables import best_table, show_params, show_value, space_table
from analysis.insight.failure_reasons import failures_by_reason
from analysis.record.folder import best_of
from analysis.record.trials import Trials
from analysis.verdict.rendering import trial_text
from search.cli.console import ERR
from spaces.experiment import Experiment
from spaces.imports import named_file
from spaces.metric import Metric
from spaces.problems import printable

_MOST_REASONS = 3


def print_plan(experiment: Experiment, out: Console) -> None:
    """For ``--dry-run``: the space, ten configurations, the most epochs it can cost."""
    from search.control.budget import most_trials
    from search.preparation import prepare
    from search.tools.describe import cost_in_words, describe_space

    prepare(experiment)
    out.print(space_table(describe_space(experiment)))
    out.print("configurations, drawn at random:")
    drawn = experiment.search_space.drawn(10, experiment.seed)
    for shown_params in dict.fromkeys(show_params({**d.params, **d.settings}) for d in drawn):
        out.print(f"  {shown_params}", soft_wrap=True)
    budget = experiment.budget.model_dump(exclude_none=True)
    limits = ", ".join(f"{show_value(value)} {name}" for name, value in budget.items())
    trials = most_trials(experiment, experiment.budget)
    if experiment.sampler.name == "grid" and trials is not None:
        limits = f"{limits + ', ' if limits else ''}{trials} trials of the grid"
    if experiment.repeats > 1:
        limits += f", {experiment.repeats} of each configuration"
    out.print(f"budget: {limits or 'the whole grid'}; {cost_in_words(experiment)}", soft_wrap=True)
    if experiment.confirm is not None:
        has_baseline = experiment.baseline is not None
        more = experiment.confirm.most_epochs(experiment.scheduler.max_epochs, has_baseline)
        out.print(f"confirming the best: at most {more} more epochs", soft_wrap=True)
    out.print("how long it takes, with how many workers: shoal plan")


def print_outcome(path: Path, coordinator: Any, out: Console) -> int:
    """After a search: the best configurations; returns the exit code."""
    from search.export.unsaved import unsaved_note

    trials, experiment = coordinator.trials, coordinator.experiment
    if coordinator.is_interrupted:
        out.print(f"interrupted; go on with: shoal resume {path}", soft_wrap=True)
        return 130
    if not len(trials):
        ERR.print("error: the budget was spent before a trial began")
        return 1
    rows = best_of(trials, experiment.metric, top=5)
    if not rows:
        ERR.print(f"error: {_why_no_value(trials, experiment.metric)}")
        return 1
    out.print(best_table(rows, experiment.metric))
    _print_gain(trials, experiment, rows, out)
    for line in _failure_lines(trials):
        out.print(line, soft_wrap=True)
    if experiment.trainable is not None and (note := unsaved_note(path)) is not None:
        out.print(note, soft_wrap=True)
    return 0


def print_best(
    rows: list[dict[str, Any]], trials: Trials, metric: Metric, found: Any, out: Console
) -> None:
    """What ``shoal best`` prints.

    Args:
        rows: the best trials; where there is none, the reason is printed.
        trials: of the run.
        metric: that is compared.
        found: the confirmation, None where there was none.
    """
    if not rows:
        out.print(_why_no_value(trials, metric) if len(trials) else "no trial has begun yet")
        return
    confirmed = None if found is None else {r["trial"]: trial_text(found, r["trial"]) for r in rows}
    out.print(best_table(rows, metric, confirmed))
    if found is not None:
        who = "" if found.winner is None else f"trial {found.winner.trial}: "
        out.print(f"{who}{found.sentence}", soft_wrap=True)


def _failure_lines(trials: Trials) -> list[str]:
    """A line for each reason for which trials were lost, with a count."""
    lost = failures_by_reason(trials)
    lines = [
        f"{len(entry.trials)} of {len(trials)} trials {entry.state}: {printable(entry.reason)}"
        for entry in lost[:_MOST_REASONS]
    ]
    others = sum(len(entry.trials) for entry in lost[_MOST_REASONS:])
    return [*lines, f"{others} more failed or diverged for other reasons"] if others else lines


def _why_no_value(trials: Trials, metric: Metric) -> str:
    """Why a search has found nothing, with all that the commonest failure left."""
    counts = trials.counts()
    every = next((state for state, count in counts.items() if count == len(trials)), None)
    what = f"every trial {every}" if every in ("failed", "diverged") else "no trial has a value"
    lines = [f"{what}, so there is no {printable(metric.name)} to compare", *_failure_lines(trials)]
    failed = [entry.trials for entry in failures_by_reason(trials) if entry.state == "failed"]
    if failed:
        last = failed[0][-1]
        lines.append(f"trial {last.number}:\n{printable((last.reason or '').strip())}")
    return "\n".join(lines)


def print_next_steps(path: Path, experiment: Experiment, out: Console, report: Path | None) -> None:
    """After a search that found something: its report, and the commands that go on from it."""
    page = [] if report is None else [(str(report), "the report; open it in a browser")]
    steps = (
        *page,
        (f"shoal confirm {path}", "train the best again under fresh seeds"),
        (f"shoal tensorboard {path}", "look at the best trials"),
        (f"shoal export {path} -o model", "export the best model"),
        *_next_step(experiment, path),
    )
    width = max(len(printable(command)) for command, _ in steps)
    for command, purpose in steps:
        line = Text.assemble(f"  {printable(command):<{width}}   ", (purpose, "dim"))
        out.print(line, soft_wrap=True)


def _next_step(experiment: Experiment, path: Path) -> list[tuple[str, str]]:
    """A grid has nothing to search on for: its groups are compared, where it has any."""
    if experiment.sampler.name != "grid":
        return [(f"shoal resume {path} --trials 20", "run 20 more trials")]
    fields = list(experiment.search_space.distributions)[:1]
    purpose = "compare the learning curves"
    return [(f"shoal compare {path} --by {field} -o compare.png", purpose) for field in fields]


def _print_gain(
    trials: Trials, experiment: Experiment, rows: list[dict[str, Any]], out: Console
) -> None:
    if experiment.baseline is None or not rows or not len(trials):
        return
    baseline = trials.by_number[0]
    value = baseline.value(experiment.metric)
    if value is not None:
        before, best = numbers([value, rows[0]["value"]])
        winner = rows[0]["trial"]
        sentence = f"baseline (trial 0): {before}; the best is trial {winner} with {best}"
        if winner == 0:
            sentence = f"nothing beat the baseline (trial 0): {before}"
        elif experiment.confirm is None:
            sentence += " (not confirmed yet)"
        out.print(sentence, soft_wrap=True)


def print_status(status: dict[str, Any], metric: Metric, out: Console) -> None:
    """What ``shoal status`` prints."""
    out.print(f"{status['run']}: {status['state']}", soft_wrap=True)
    is_live = status["state"] == "running"
    names = {} if is_live else {"running": "unfinished"}
    counts = ", ".join(f"{n} {names.get(state, state)}" for state, n in status["trials"].items())
    if status["waiting"]:
        counts += f" ({status['waiting']} of them wait at a rung)"
    out.print(f"trials: {counts}; {status['epochs']} epochs")
    if (sharing := status["trials_per_gpu"]) is not None:
        out.print(f"trials that share a GPU: {sharing}")
    if status["state"] == "interrupted":
        out.print(f"go on with: shoal resume {status['run']}", soft_wrap=True)
    if status["best"] is not None:
        out.print(best_table([status["best"]], metric))


def train_and_compare(
    spec: Path, changes: list[str], target: Path | None, out: Console | None, final: bool = False
) -> dict[str, Any]:
    """Train one configuration here; a bundle's is compared with what it has on record.

    Args:
        spec: a bundle, its config.yaml, or an experiment file.
        changes: settings to replace.
        target: a folder for the bundle of this training, if any.
        out: where each epoch is printed, if anywhere.
        final: train on the training and the validation split together.

    Returns:
        The document that ``--json`` prints.
    """
    from search.export.retrain import read_config, save_training, score_name, train_here
    from search.run_context import code_line
    from spaces.training_config import CodeConfig

    config, record = read_config(spec, changes, final)
    if record is not None and isinstance(config, CodeConfig):
        ERR.print(code_line([str(named_file(config.trainable))]))
        for change in code_changes(spec if spec.is_dir() else spec.parent):
            ERR.print(f"warning: since the weights were trained: {change}")
    if target is not None:
        check_target(target)

    def print_epoch(report: Any) -> None:
        if out is not None:
            metrics = ((k, v) for k, v in report.metrics.items() if "/" not in k)
            shown = "  ".join(f"{name} {number(metric)}" for name, metric in metrics)
            out.print(f"epoch {report.epoch}: {shown}", soft_wrap=True)

    split, folder = (None, None) if record is None else (record.split, record.folder)
    with contextlib.nullcontext() if folder is None else contextlib.chdir(folder):
        trained = train_here(config, print_epoch, split)
    report = trained.report
    name = score_name(config)
    value = report.metrics[name]
    if target is not None:
        save_training(config, trained, target)
        if out is not None:
            out.print(f"{target}: exported", soft_wrap=True)
    is_final = name != config.metric.name
    if is_final and out is not None:
        out.print("no validation score: all data was used for training", soft_wrap=True)
    is_compared = record is not None and record.metric in ("", name)
    if record is None or not is_compared or not math.isfinite(value):
        finite = value if math.isfinite(value) else None
        changed = {} if record is None else {"changed": record.changed}
        return {
            "metric": name,
            "value": finite,
            "epoch": report.epoch,
            "final": is_final,
            **changed,
        }
    found = record.judge(name, value)
    if out is not None:
        _print_comparison(found, out)
    return found


def _print_comparison(found: dict[str, Any], out: Console) -> None:
    out.print(
        f"{found['metric']}: recorded {found['recorded']!r}, retrained {found['retrained']!r}, "
        f"difference {number(found['difference'])}",
        soft_wrap=True,
    )
    for path, (recorded, now) in found.get("changed", {}).items():
        out.print(f"another setting: {path} is {now!r}, was {recorded!r}", soft_wrap=True)
    if "verdict" in found:
        low, high, _ = numbers([*found["expected"], found["retrained"]])
        expected = f"the range in which 95 % of trainings are expected ({low} to {high})"
        words = {
            "equal": "equal to the last digit",
            "inside": f"not equal, but inside {expected}",
            "outside": f"outside {expected}",
        }
        out.print(words[found["verdict"]], soft_wrap=True)
