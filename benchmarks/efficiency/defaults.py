"""Shoal with one default changed, so that the page has a line for each."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from benchmarks.efficiency.cluster import Job
from benchmarks.efficiency.contenders import Make, Shoal
from benchmarks.efficiency.landscape import Landscape
from search.surrogate import surrogate
from spaces.parameters import Params


class StartsLater(Shoal):
    """The model proposes, and is fitted, once there are 24 values, not 8."""

    def ask(self) -> Job | None:
        with patch.object(surrogate, "ENOUGH", 24):
            return super().ask()


class MoreAtRandom(Shoal):
    """Three proposals in ten are random, not one."""

    def ask(self) -> Job | None:
        with patch.object(surrogate, "_AT_RANDOM", 0.3):
            return super().ask()


class BestByModel(Shoal):
    """The best is the one of which the model expects most, not the one with the highest value."""

    def chosen(self) -> Params:
        model = self._coordinator._choices._surrogate
        leader = None if model is None else model.leader()
        return super().chosen() if leader is None else leader.params


class BestOfCompleted(Shoal):
    """The best is the highest value of those that were trained to the end, if there are any."""

    def chosen(self) -> Params:
        trials = self._coordinator.trials
        ended = [trial for trial in trials.finished if trial.state == "completed"]
        if not ended:
            return super().chosen()
        metric = self._metric
        return max(ended, key=lambda trial: metric.of(trial.reports[-1])).params


def _scheduler(**changes: Any) -> Make:
    return lambda *given: Shoal(*given, scheduler={"name": "asha"} | changes)


def _scope_best(landscape: Landscape, seed: int, budget: int) -> Shoal:
    metric = {"name": landscape.experiment.metric.name, "scope": "best"}
    return Shoal(landscape, seed, budget, metric=metric)


DEFAULTS: dict[str, Make] = {
    "shoal, start-up 24": StartsLater,
    "shoal, random 0.3": MoreAtRandom,
    "shoal, best by model": BestByModel,
    "shoal, best of completed": BestOfCompleted,
    "shoal, best at any epoch": _scope_best,
    "shoal, reduction_factor 4": _scheduler(reduction_factor=4),
    "shoal, reduction_factor 2": _scheduler(reduction_factor=2),
    "shoal, min_epochs 3": _scheduler(min_epochs=3),
    "shoal, min_epochs 9": _scheduler(min_epochs=9),
    "shoal, scheduler none": _scheduler(name="none"),
    "shoal, window 30": _scheduler(window=30),
}
