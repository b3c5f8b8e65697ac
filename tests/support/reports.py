"""Runs to report on: one with trials in every state, and one of many trials."""

from __future__ import annotations

import math
from pathlib import Path

from analysis.record.events import Created, Finished, Report
from analysis.record.trials import Trials
from search.control.coordinator import Coordinator
from spaces.experiment import Experiment
from tests.support import examples

BASELINE = {"lr": 0.01, "activation": "relu"}
HOSTILE = "</script ><!--<script>hacked=1</script><img src=x onerror=hacked=1>\"'&amp;"


def whole_run(folder: Path) -> Coordinator:
    """A search with trials in every state but running; trial 3 diverged, trial 4 failed."""
    coordinator = examples.coordinator(folder, baseline=BASELINE, budget={"trials": 16})
    for number in range(5):
        coordinator.next_trial()
        while number < 3 and examples.report(coordinator, number, epoch_after(coordinator, number)):
            if number not in coordinator.trials.running:
                break
    examples.report(coordinator, 3, 1, math.nan)
    coordinator.end(4, "failed", "Traceback (most recent call last):\n  …\nValueError: no memory")
    examples.run_all(coordinator)
    return coordinator


def epoch_after(coordinator: Coordinator, number: int) -> int:
    return coordinator.trials.by_number[number].epoch + 1


def many(count: int, epochs: int) -> tuple[Experiment, Trials]:
    """A made run of many trials; without a journal, which would take longer than the report."""
    experiment = examples.experiment(baseline=BASELINE, scheduler={"max_epochs": 27})
    trials = Trials([examples.started(experiment)])
    for number in range(count):
        params = {"lr": 10 ** -(number % 97 / 25), "activation": ["tanh", "relu"][number % 2]}
        trials.apply(Created(trial=number, params=params, seed=number, time=2.0 * number))
        for epoch in range(1, epochs + 1):
            metrics = {"val_accuracy": examples.accuracy(number, epoch), "train_loss": 1.0}
            decision = "stop" if epoch == epochs else "continue"
            trials.apply(
                Report(trial=number, epoch=epoch, metrics=metrics, decision=decision)  # type: ignore[arg-type]
            )
        trials.apply(Finished(trial=number, state="stopped", epoch=epochs, time=2.0 * number + 1.5))
    return experiment, trials
