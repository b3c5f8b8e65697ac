"""The values at the stages of a run, in the order in which they came, on a scale to learn from."""

from __future__ import annotations

import math
from array import array

import numpy as np

from analysis.record.trial import Trial
from search.surrogate.points import Array
from search.surrogate.process import Places
from spaces.metric import Metric
from spaces.scheduler import Scheduler

_FARTHEST = 1e9  # from the best, in units of the scale


def stages_of(scheduler: Scheduler) -> list[int]:
    """The epochs at which values are looked at: where rungs stand, and the last one."""
    return [*scheduler.milestones, scheduler.max_epochs]


class Observations:
    """What trials were worth at their stages, as costs: smaller is better.

    A trial that diverged or failed has the worst cost of all at the stage that it did not reach, so
    that a search stays away from such.

    Args:
        metric: says which values are better.
        stages: epochs, ascending.
    """

    def __init__(self, metric: Metric, stages: list[int]) -> None:
        self._metric, self._stages = metric, stages
        self._trials, self._places, self._costs = array("q"), array("q"), array("d")

    def __len__(self) -> int:
        return len(self._costs)

    def next_stage(self, epoch: int) -> int:
        """The place of the first stage after an epoch, or of the last one."""
        later = (place for place, stage in enumerate(self._stages) if stage > epoch)
        return next(later, len(self._stages) - 1)

    def report(self, trial: Trial) -> None:
        """Take in the latest report of a trial."""
        if trial.epoch in self._stages:
            self._add(trial, self._stages.index(trial.epoch))

    def end(self, trial: Trial) -> None:
        """Take in that a trial ended: what returned before the last epoch counts as trained."""
        if trial.state in ("diverged", "failed"):
            self._append(trial.number, self.next_stage(trial.epoch), math.inf)
        elif trial.state == "completed" and trial.epoch < self._stages[-1]:
            self._add(trial, len(self._stages) - 1)

    def _add(self, trial: Trial, place: int) -> None:
        cost = self._metric.cost(self._metric.of(trial.scored(self._metric)))
        if math.isfinite(cost):
            self._append(trial.number, place, cost)

    def _append(self, trial: int, place: int, cost: float) -> None:
        self._trials.append(trial)
        self._places.append(place)
        self._costs.append(cost)

    def shown(self, count: int, most: int) -> tuple[Places, Places, Array]:
        """(stages, trials, values) of the first ``count``; values: higher is better, scaled.

        Of more than ``most`` a part stands for all: of the first stage the best, and as many spread
        over its others; of the later stages the best and the latest.
        """
        trials, stages = np.array(self._trials[:count]), np.array(self._places[:count])
        values = _scaled(np.array(self._costs[:count]))
        if count > most:
            shown = _part(stages, values, most)
            trials, stages, values = trials[shown], stages[shown], values[shown]
        spread = float(values.std())
        return stages, trials, (values - values.mean()) / (spread if spread > 0 else 1.0)


def _scaled(costs: Array) -> Array:
    """Values of which those near the best are further apart: the logarithm of how far it is.

    Far is measured from the best cost, in tenths of the way from there to the median.
    """
    is_finite = np.isfinite(costs)
    if not is_finite.any():
        return np.zeros(len(costs))
    largest = float(np.abs(costs[is_finite]).max())
    costs = costs / max(largest / 1e100, 1.0)  # differences of very large ones are finite, too
    best, worst = float(costs[is_finite].min()), float(costs[is_finite].max())
    unit = 0.1 * float(np.median(costs[is_finite]) - best) or 0.1 * (worst - best) or 1.0
    away = np.where(is_finite, costs - best, 1.5 * (worst - best) + unit)
    return -np.log1p(np.minimum(away / unit, _FARTHEST))


def _part(stages: Places, values: Array, most: int) -> Places:
    """Which of many are shown, ascending."""
    deep, first = np.flatnonzero(stages > 0), np.flatnonzero(stages == 0)
    deep = _best_and_latest(deep, values, most // 2)
    room = most - len(deep)
    best, others = _best(first, values, room // 2)
    count = min(len(others), room - len(best))
    spread = others[np.arange(count) * len(others) // max(count, 1)]
    return np.sort(np.concatenate([deep, best, spread]))


def _best_and_latest(places: Places, values: Array, most: int) -> Places:
    best, others = _best(places, values, most // 2)
    return np.concatenate([best, others[max(0, len(others) - most + len(best)) :]])


def _best(places: Places, values: Array, most: int) -> tuple[Places, Places]:
    """The best so many of some places, and the others, each ascending; ties go to the first."""
    if len(places) <= most:
        return places, places[:0]
    held = values[places]
    least = np.partition(held, len(held) - most)[len(held) - most] if most else math.inf
    is_best = held > least
    tied = np.flatnonzero(held == least)
    is_best[tied[: most - int(is_best.sum())]] = True
    return places[is_best], places[~is_best]
