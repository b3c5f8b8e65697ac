"""A real run of every ready-made study, and its scores for docs/studies.md.

Each study runs as a user would run it, ``shoal search NAME``, with the epochs, images or trials cut
as ``CUTS`` says, so that none takes more than 10 minutes on 2 cores. The scores are computed from
the runs' journals by ``analysis.insight.comparison``, as ``shoal compare`` does, and written into
docs/studies.md between its two markers. The test split is not read.

    python benchmarks/studies.py --folder runs/studies       # make studies; finished runs are kept
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hardware import describe_machine

from analysis.insight.comparison import ABSENT, compare_groups, group_trials, training_name
from analysis.record.folder import open_run
from analysis.record.trials import Trial, Trials
from spaces.experiment import Experiment

PAGE = Path(__file__).resolve().parent.parent / "docs" / "studies.md"
MARKERS = "<!-- studies: written by benchmarks/studies.py -->", "<!-- end of studies -->"


@dataclass(frozen=True)
class Cut:
    """How a study is run here: ``changes`` to its file, and the fields to compare.

    Without fields it is a search; its baseline and its best trial are shown.
    """

    fields: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


SEEDS = ("repeats=3",)
CUTS = {
    "quickstart": Cut(),
    "mnist-dropout": Cut(("dropout",), ("dataset.subset=12000",)),
    "mnist-activation": Cut(("activation",), SEEDS),
    "mnist-learning-rate": Cut(("lr",), SEEDS),
    "mnist-schedule": Cut(("schedule",), ("dataset.subset=18000", *SEEDS)),
    "mnist-mlp": Cut(("lr",), ("dataset.subset=18000", "scheduler.max_epochs=10", *SEEDS)),
    "mnist-cnn": Cut((), ("dataset.subset=6000", "budget.trials=12")),
    "deep-init": Cut(("network", "init", "activation"), ("dataset.subset=9000",)),
    "mnist-regularisers": Cut(("regulariser",), ("dataset.subset=9000", *SEEDS)),
    "cifar2": Cut(("network", "penalty"), ("dataset.subset=4000", "scheduler.max_epochs=25")),
    "linear": Cut(("lr",)),
    "mnist-search": Cut((), ("dataset.subset=6000", "scheduler.max_epochs=9", "budget.trials=30")),
    "cifar2-search": Cut((), ("dataset.subset=3000", "scheduler.max_epochs=9", "budget.trials=30")),
}


def run_study(name: str, folder: Path) -> None:
    """Run a study into ``folder``; one that is finished is kept, an interrupted one goes on."""
    shoal = [sys.executable, "-m", "search.cli.main"]
    if not (folder / "journal.jsonl").exists():
        command = [*shoal, "search", name, "--run", str(folder), "--set", "resources.gpus=0"]
        for change in (*_images(name), *CUTS[name].changes):
            command += ["--set", change]
    elif not _is_finished(folder):
        command = [*shoal, "resume", str(folder)]
    else:
        return
    subprocess.run(command, check=True, stdout=sys.stderr)


def _is_finished(folder: Path) -> bool:
    ended = open_run(folder)[2].ended
    return ended is not None and ended.reason not in ("interrupted", "error")


def _images(name: str) -> list[str]:
    """The airplane/bird images as files, where they are there and the original CIFAR-10 is not."""
    root = Path(os.environ.get("SHOAL_DATA") or "data")
    is_here = (root / "cifar2" / "train").is_dir()
    if not name.startswith("cifar2") or not is_here or (root / "cifar-10-batches-py").is_dir():
        return []
    return [f"dataset={{name: image_folder, root: {root / 'cifar2'}, validation: 0.2}}"]


def section(name: str, folder: Path) -> str:
    """A study's part of the page: how it was run, and a table of its scores."""
    _, experiment, trials = open_run(folder)
    assert trials.start is not None
    fields = CUTS[name].fields
    rows = _groups(fields, experiment, trials) if fields else _best(experiment, trials)
    seeds = "" if experiment.repeats == 1 else f", {experiment.repeats} seeds each"
    changes = ", ".join(f"`{change}`" for change in CUTS[name].changes if change not in SEEDS)
    how = (
        f"{len(trials)} trials{seeds}, {trials.seconds() / 60:.1f} minutes, "
        f"{datetime.fromtimestamp(trials.start.time):%Y-%m-%d}"
    )
    lines = [f"### {name}", "", f"{how}, with {changes}." if changes else f"{how}.", ""]
    head = f"| {', '.join(fields) or 'trial'} | training | validation |"
    return "\n".join([*lines, head, "|---|---|---|", *rows, ""])


def _groups(fields: tuple[str, ...], experiment: Experiment, trials: Trials) -> list[str]:
    groups = group_trials(list(trials), experiment.search_space.distributions, fields)
    rows = []
    for found in compare_groups(experiment, groups):
        label = ", ".join(value for value in found["group"].values() if value != ABSENT)
        diverged = found["states"].get("diverged", 0)
        if diverged == found["trials"]:
            rows.append(f"| {label} | diverged | |")
            continue
        training, validation = (_score(found[name], experiment) for name in ("training", "value"))
        note = f" ({diverged} of {found['trials']} diverged)" if diverged else ""
        rows.append(f"| {label} | {training} | {validation}{note} |")
    return rows


def _score(summary: dict[str, Any] | None, experiment: Experiment) -> str:
    """A mean, in percent where it is an accuracy, with its standard deviation over seeds."""
    if summary is None:
        return "none"
    is_share = experiment.metric.name.endswith("accuracy")
    unit, digits = (100.0, ".1f") if is_share else (1.0, ".3g")
    sd = "" if summary["sd"] is None else f" ± {unit * summary['sd']:{digits}}"
    return f"{unit * summary['mean']:{digits}}{sd}"


def _best(experiment: Experiment, trials: Trials) -> list[str]:
    best = trials.best(experiment.metric)
    assert best is not None
    shown = (("baseline", trials.by_number[0]), (f"best found (trial {best.number})", best))
    return [f"| {label} | {_scores(trial, experiment)} |" for label, trial in shown]


def _scores(trial: Trial, experiment: Experiment) -> str:
    metrics = trial.reports[-1].metrics
    values = metrics[training_name(experiment.metric)], metrics[experiment.metric.name]
    return " | ".join(f"{100 * value:.1f}" for value in values)


def sections(folder: Path) -> str:
    """The scores of all studies, in Markdown, with the machine that they were run on."""
    machine = describe_machine(["torch"])
    head = (
        f"{machine['cpu']}, {machine['cores']} cores, CPU only; experiment seed 0.\n"
        "Scores are accuracies in percent at the last epoch (for `linear`, losses).\n"
        "With several seeds, a score is the mean ± the standard deviation over them.\n"
        "Training accuracy is measured during training, with dropout active.\n"
    )
    return "\n".join([head, *(section(name, folder / name) for name in CUTS)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Run every study, and write their scores into docs/studies.md."
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/studies"))
    folder = parser.parse_args().folder
    for name in CUTS:
        run_study(name, folder / name)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKERS[0])
    after = rest.partition(MARKERS[1])[2]
    block = "\n".join([MARKERS[0], sections(folder), MARKERS[1]])
    PAGE.write_text(before + block + after, encoding="utf-8")


if __name__ == "__main__":
    main()
