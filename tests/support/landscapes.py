"""Made runs with a known truth: a landscape of learning curves, searched by ASHA or to the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analysis.record.events import Created, Event, Finished, Report
from analysis.record.trials import Trials
from search.control.asha import Rungs
from spaces.experiment import Experiment
from spaces.parameters import Params
from tests.support import examples

Curve = Callable[[Params, int, np.random.Generator], float]  # NaN: it diverges

FULL = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "dropout": {"low": 0.0, "high": 0.7},
    "activation": ["none", "sigmoid", "tanh", "relu"],
    "init": ["normal", "xavier", "he"],
    "norm": ["none", "batch", "layer"],
}


def searched(count: int, curve: Curve, seed: int = 0, **changes: Any) -> tuple[Experiment, Trials]:
    """A run whose configurations are drawn at random and whose trials the real ASHA rule stops.

    Args:
        count: trials.
        curve: gives a trial's value at an epoch.
        seed: of the configurations and of what the curve draws.
        changes: of the experiment.
    """
    experiment = examples.experiment(**{"space": FULL, **changes})
    return experiment, run(experiment, experiment.search_space.samples(count, seed), curve, seed)


def run(experiment: Experiment, rows: Sequence[Params], curve: Curve, seed: int = 0) -> Trials:
    """The trials of these configurations, one after the other."""
    generator = np.random.default_rng(seed)
    rungs = Rungs(experiment.scheduler, experiment.metric)
    trials = Trials([examples.started(experiment)])
    for number, params in enumerate(rows):
        for event in _trial(experiment, rungs, number, params, curve, generator):
            trials.apply(event)
    return trials


def _trial(
    experiment: Experiment,
    rungs: Rungs,
    number: int,
    params: Params,
    curve: Curve,
    generator: np.random.Generator,
) -> list[Event]:
    events: list[Event] = [Created(trial=number, params=params, seed=number)]
    metric, last = experiment.metric.name, experiment.scheduler.max_epochs
    for epoch in range(1, last + 1):
        value = curve(params, epoch, generator)
        decision = rungs.decide(number, epoch, value)
        rungs.arrive(number, epoch, value)
        is_over = epoch == last or not math.isfinite(value) or decision == "stop"
        shown = "stop" if is_over else "continue"
        metrics = {metric: value, "train_loss": value}
        events.append(Report(trial=number, epoch=epoch, metrics=metrics, decision=shown))
        if is_over:
            reached = "completed" if epoch == last else "stopped"
            state = reached if math.isfinite(value) else "diverged"
            events.append(Finished(trial=number, state=state, epoch=epoch))
            break
    return events


def wave(lr: object, best: float = 1e-2) -> float:
    """How well a learning rate does: 1 at the best, 0 two decades away."""
    assert isinstance(lr, float)
    return max(0.0, 1.0 - (math.log10(lr / best) / 2) ** 2)
