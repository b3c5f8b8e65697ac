"""CPU time of the driver, without Ray: a search of do-nothing trials with made-up learning curves.

Journal, coordinator and projections are the real ones, as in ``search/session.py``. Process
time is counted, which includes the journal's thread. Targets at 500 trials: 3 ms for a report,
60 ms for a suggestion; ``scale.py`` looks at 10,000.

    python benchmarks/driver.py --trials 500 --sampler tpe
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import optuna
from hardware import describe_machine, summarize

from analysis.record.events import Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.record.trials import Trial
from analysis.views.projection import open_projections
from search.control.coordinator import Coordinator
from spaces.experiment import Experiment
from spaces.files import load_experiment

SAMPLERS = ("curves", "tpe", "gp", "cmaes", "random", "qmc")
STEP_RECORDS = 16  # those of an MNIST epoch with batches of 64
LAST = 50
TARGETS = {"report_ms": 3.0, "suggestion_ms": 60.0}

Result = TypeVar("Result")


class Clock:
    """The CPU milliseconds of each call, by what was called."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, list[float]] = {}

    def time(self, name: str, call: Callable[[], Result]) -> Result:
        before = time.process_time()
        result = call()
        spent = 1e3 * (time.process_time() - before)
        self.milliseconds.setdefault(name, []).append(spent)
        return result


def curve(trial: Trial, max_epochs: int) -> list[dict[str, float]]:
    """Made-up metrics by epoch: best near lr 3e-3, worse with dropout, diverging at high rates."""
    noise = random.Random(trial.seed)
    rate = math.log10(float(trial.params["lr"] or 1.0))
    if rate > -0.3 and noise.random() < 0.3:
        return [_metrics(math.nan, 0.0, rate)]
    ceiling = 0.98 - 0.08 * (rate + 2.5) ** 2 - 0.1 * float(trial.params["dropout"] or 0.0) ** 2
    pace = 1.0 + 3.0 * noise.random()
    values = [
        ceiling * (1.0 - 0.6 * math.exp(-epoch / pace)) + noise.gauss(0.0, 0.005)
        for epoch in range(1, max_epochs + 1)
    ]
    return [_metrics(-math.log(min(0.999, max(v, 0.05))), max(v, 0.05), rate) for v in values]


def _metrics(loss: float, accuracy: float, rate: float) -> dict[str, float]:
    return {
        "train_loss": loss,
        "train_accuracy": accuracy,
        "val_loss": loss,
        "val_accuracy": accuracy,
        "learning_rate": 10.0**rate,
        "gradient_norm": 1.0,
    }


def search(experiment: Experiment, folder: RunFolder, slots: int, clock: Clock) -> Coordinator:
    """Run the search to its end, ``slots`` trials at a time."""
    with closing(Journal(folder.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        coordinator.start(Started(spec=experiment.plain(), versions={}, host=platform.node()))
        coordinator.projections = open_projections(folder, experiment)
        train_all(coordinator, slots, clock)
        clock.time("close", coordinator.close)
    return coordinator


def train_all(
    coordinator: Coordinator,
    slots: int,
    clock: Clock,
    after_report: Callable[[], object] = lambda: None,
) -> None:
    """Do as if trials were trained until none is left, ``slots`` at a time, reporting in turn."""
    max_epochs = coordinator.experiment.scheduler.max_epochs
    running: deque[tuple[Trial, list[dict[str, float]]]] = deque()
    while not coordinator.is_over or running:
        while len(running) < slots and not coordinator.is_over:
            trial = clock.time("suggestion", coordinator.next_trial)
            assert trial is not None
            running.append((trial, curve(trial, max_epochs)))
        trial, metrics = running.popleft()
        decision = clock.time("report", partial(report, coordinator, trial, metrics))
        after_report()
        if decision == "continue":
            running.append((trial, metrics))


def report(coordinator: Coordinator, trial: Trial, metrics: list[dict[str, float]]) -> str:
    """Report a trial's next epoch, as the transport does after the worker saved its state."""
    epoch = trial.epoch + 1
    steps = [(epoch * 1000 + 50 * n, 1.0 / (epoch + n)) for n in range(STEP_RECORDS)]
    return coordinator.report(trial.number, epoch, metrics[epoch - 1], steps)


def resume(experiment: Experiment, folder: RunFolder, clock: Clock) -> None:
    """Take the run in again, as a resume that extends it does."""
    with closing(Journal(folder.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        clock.time("resume", partial(coordinator.resume, trials=1))
    for projection in clock.time("project", partial(open_projections, folder, experiment)):
        projection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of the driver with do-nothing trials.")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
    parser.add_argument("--slots", type=int, default=4, help="trials that run at a time")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    changes = [f"budget.trials={arguments.trials}", f"sampler.name={arguments.sampler}"]
    experiment = load_experiment("quickstart", changes)
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        began = time.process_time()
        coordinator = search(experiment, folder, arguments.slots, clock)
        total = time.process_time() - began
        resume(experiment, folder, clock)
    spent = clock.milliseconds
    figures = {
        "benchmark": "driver",
        "sampler": arguments.sampler,
        "trials": len(coordinator.trials),
        "slots": arguments.slots,
        "states": coordinator.trials.counts(),
        "report_ms": summarize(spent["report"]),
        "suggestion_ms": summarize(spent["suggestion"]),
        f"suggestion_ms_last_{LAST}": summarize(spent["suggestion"][-LAST:]),
        "search_seconds": round(total, 2),
        **{f"{name}_seconds": round(sum(spent[name]) / 1e3, 2) for name in ("resume", "project")},
        "targets": TARGETS,
    }
    print(json.dumps({**figures, **describe_machine(["optuna", "tensorboard", "pydantic"])}))


if __name__ == "__main__":
    main()
