"""A real run of every ready-made study, and the table of what came out, for the README.

Each study runs as a user would run it, ``shoal search NAME``, with the epochs, images or trials cut
as ``CUTS`` says, so that none takes more than 10 minutes on 2 cores. The table is computed from the
runs' journals by ``analysis.comparison``, as ``shoal compare`` does, and written into README.md
between its two markers. All scores are on the validation split; the test split is not read.

    python benchmarks/studies.py --folder runs/studies       # make studies; finished runs are kept
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hardware import describe_machine

from analysis.comparison import compare_groups, group_trials
from analysis.run import open_run
from analysis.trials import Trial, Trials
from spaces.experiment import Experiment

README = Path(__file__).resolve().parent.parent / "README.md"
MARKERS = "<!-- studies: made by benchmarks/studies.py -->", "<!-- end of studies -->"


@dataclass(frozen=True)
class Cut:
    """How a study is run here: ``changes`` to its file, and the fields to compare.

    Without fields it is a search, of which the baseline and the best are told.
    """

    fields: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


SEEDS = ("repeats=3",)
CUTS = {
    "quickstart": Cut(),
    "mnist-dropout": Cut(("dropout",), ("dataset.subset=12000",)),
    "mnist-activation": Cut(("activation",), SEEDS),
    "mnist-learning-rate": Cut(("lr",), SEEDS),
    "mnist-schedule": Cut(("schedule",), (*SEEDS, "dataset.subset=30000")),
    "mnist-mlp": Cut(("lr",), (*SEEDS, "scheduler.max_epochs=10", "dataset.subset=30000")),
    "mnist-cnn": Cut((), ("dataset.subset=6000", "scheduler.max_epochs=9", "budget.trials=12")),
    "deep-init": Cut(("network", "init", "activation"), ("dataset.subset=12000",)),
    "mnist-regularisers": Cut(("regulariser",), ("dataset.subset=12000", *SEEDS)),
    "cifar2": Cut(("network", "penalty"), ("dataset.subset=4000", "scheduler.max_epochs=30")),
    "linear": Cut(("lr",)),
    "mnist-search": Cut((), ("dataset.subset=6000", "scheduler.max_epochs=9", "budget.trials=40")),
    "cifar2-search": Cut((), ("dataset.subset=4000", "scheduler.max_epochs=9", "budget.trials=40")),
}


def run_study(name: str, folder: Path) -> float | None:
    """Run a study into ``folder``, unless it is there; returns the seconds that it took."""
    if (folder / "journal.jsonl").exists():
        return None
    began = time.monotonic()
    command = [sys.executable, "-m", "search.cli", "search", name, "--run", str(folder)]
    for change in (*_images(name), *CUTS[name].changes):
        command += ["--set", change]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return time.monotonic() - began


def _images(name: str) -> list[str]:
    """The airplane/bird folder, where the original CIFAR-10 is not on disk."""
    root = Path(os.environ.get("SHOAL_DATA") or "data")
    if not name.startswith("cifar2") or (root / "cifar-10-batches-py").is_dir():
        return []
    return [f"dataset={{name: image_folder, root: {root / 'cifar2'}, validation: 0.2}}"]


def row(name: str, folder: Path) -> str:
    """A study's row of the table."""
    _, experiment, trials = open_run(folder)
    changes = [change for change in CUTS[name].changes if change not in SEEDS]
    cut = ", ".join(changes) or "none"
    seeds = experiment.repeats if CUTS[name].fields else 1
    minutes = trials.seconds() / 60
    told = _groups(name, experiment, trials) if CUTS[name].fields else _best(experiment, trials)
    return f"| `{name}` | {told} | {cut} | {len(trials)}, {seeds} | {minutes:.1f} |"


def _groups(name: str, experiment: Experiment, trials: Trials) -> str:
    fields = CUTS[name].fields
    groups = group_trials(list(trials), experiment.search_space.distributions, fields)
    rows = compare_groups(groups, experiment.metric)
    shown = []
    for found in rows:
        label = ", ".join(v for v in found["group"].values() if v not in ("not active",))
        scores = [_score(found[which], experiment) for which in ("training", "final")]
        shown.append(f"{label}: {' / '.join(scores)}")
    return "; ".join(shown)


def _score(summary: dict[str, Any] | None, experiment: Experiment) -> str:
    """A mean, in percent where it is an accuracy, with its standard deviation over seeds."""
    if summary is None:
        return "diverged"
    is_share = experiment.metric.name.endswith("accuracy")
    unit, digits = (100.0, 1) if is_share else (1.0, 2)
    sd = "" if summary["sd"] is None else f" ± {unit * summary['sd']:.{digits}f}"
    return f"{unit * summary['mean']:.{digits}f}{sd}"


def _best(experiment: Experiment, trials: Trials) -> str:
    best = trials.best(experiment.metric)
    assert best is not None
    baseline = _scores(trials.by_number[0], experiment)
    return f"baseline: {baseline}; best found (trial {best.number}): {_scores(best, experiment)}"


def _scores(trial: Trial, experiment: Experiment) -> str:
    metrics = trial.reports[-1].metrics
    name = experiment.metric.name
    values = metrics[name.replace("val_", "train_")], metrics[name]
    return " / ".join(f"{100 * value:.1f}" for value in values)


def table(folder: Path) -> str:
    """The table, in Markdown, with the machine and the date."""
    machine = describe_machine(["torch", "ray"])
    rows = [row(name, folder / name) for name in CUTS]
    head = (
        f"Run {datetime.now():%Y-%m-%d} on {machine['cpu']}, {machine['cores']} cores, no GPU; "
        "experiment seed 0. Each group shows training / validation accuracy in percent at the "
        "last epoch (`linear`: loss), mean ± standard deviation over the seeds; training accuracy "
        "is taken while training, with dropout."
    )
    columns = "| study | training / validation | cut | trials, seeds each | minutes |"
    return "\n".join([head, "", columns, "|---|---|---|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Run every study, and write README's table.")
    parser.add_argument("--folder", type=Path, default=Path("runs/studies"))
    parser.add_argument("--only", nargs="*", choices=CUTS, default=list(CUTS))
    arguments = parser.parse_args()
    for name in arguments.only:
        seconds = run_study(name, arguments.folder / name)
        took = "is there already" if seconds is None else f"took {seconds:.0f} s"
        print(f"{name} {took}", file=sys.stderr)
    if all((arguments.folder / name / "journal.jsonl").exists() for name in CUTS):
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(MARKERS[0])
        _, _, after = rest.partition(MARKERS[1])
        lines = [MARKERS[0], table(arguments.folder), MARKERS[1]]
        README.write_text(before + "\n".join(lines) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
