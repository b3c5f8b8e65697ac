"""All trials at one epoch, the early-stopped ones too: their parameters and their values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.axes import Floats
from analysis.trials import Trial
from spaces.experiment import Experiment, Metric
from spaces.parameters import Params


@dataclass(frozen=True)
class Observed:
    """The configurations that were trained up to an epoch, or were lost on the way to it.

    With ``repeats`` a configuration is one row, its value the mean over its trials, for they say
    nothing more of the space.

    Args:
        epoch: at which all are compared.
        rows: the params of each configuration.
        values: the metric there, NaN where every trial diverged; (rows,).
        numbers: the first trial of each configuration.
        trials: how many were counted.
        diverged: how many of them had diverged.
        is_lower_better: whether small values are good.
    """

    epoch: int
    rows: list[Params]
    values: Floats
    numbers: list[int]
    trials: int
    diverged: int
    is_lower_better: bool

    @property
    def goodness(self) -> Floats:
        """The rank of each row, 1 the worst; ties share one. The diverged are worst together."""
        sign = -1.0 if self.is_lower_better else 1.0
        filled = np.where(np.isnan(self.values), -np.inf, sign * self.values)
        return ranks(filled)

    def finite(self) -> Observed:
        """The same without the diverged."""
        kept = np.flatnonzero(np.isfinite(self.values))
        return self.at(kept.tolist())

    def at(self, places: list[int]) -> Observed:
        """Some of the rows; the counts stay those of all."""
        return Observed(
            self.epoch,
            [self.rows[place] for place in places],
            self.values[places],
            [self.numbers[place] for place in places],
            self.trials,
            self.diverged,
            self.is_lower_better,
        )


def ranks(values: Floats) -> Floats:
    """The rank of each value, 1 the lowest; ties share the mean of theirs; (n,)."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], dtype=np.float64)


def compared_epochs(experiment: Experiment) -> list[int]:
    """The epochs at which trials are compared: the rungs and the last epoch.

    Without a scheduler nobody is stopped, and the same epochs serve to look at.
    """
    scheduler = experiment.scheduler
    return [*scheduler.milestones, scheduler.max_epochs]


def observed_at(experiment: Experiment, trials: Iterable[Trial], epoch: int) -> Observed:
    """All trials that reported a finite value at an epoch, and those that diverged before.

    A value is the metric's at that epoch, or with ``metric.scope: best`` the best up to it. A trial
    that diverged is among those that reached the next rung, where it would have been the worst
    and stopped; without a scheduler it is among those of every later epoch. What a failed trial
    reported before its failure counts.
    """
    before = 0  # the rung before this one; who diverged up to it was stopped there
    if experiment.scheduler.name == "asha":
        before = max((e for e in compared_epochs(experiment) if e < epoch), default=0)
    found: dict[int, list[float]] = {}
    params: dict[int, Params] = {}
    diverged = 0
    for trial in trials:
        is_lost = trial.state == "diverged" and trial.epoch <= epoch
        value = math.nan if is_lost else value_at(trial, experiment.metric, epoch)
        if trial.epoch <= before if is_lost else math.isnan(value):
            continue
        diverged += is_lost
        first = trial.number - trial.number % experiment.repeats
        found.setdefault(first, []).append(value)
        params.setdefault(first, trial.params)
    return Observed(
        epoch,
        list(params.values()),
        np.array([_mean(values) for values in found.values()], dtype=np.float64),
        list(found),
        sum(map(len, found.values())),
        diverged,
        experiment.metric.mode == "min",
    )


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def value_at(trial: Trial, metric: Metric, epoch: int) -> float:
    """A trial's value at an epoch, NaN where it has no finite one; reports stand in their order."""
    if trial.epoch < epoch:
        return math.nan
    reports = trial.reports[:epoch] if metric.scope == "best" else [trial.reports[epoch - 1]]
    values = [report.metrics.get(metric.name, math.nan) for report in reports]
    if not math.isfinite(values[-1]):
        return math.nan
    finite = [value for value in values if math.isfinite(value)]
    return min(finite) if metric.mode == "min" else max(finite)


def shared_epoch(experiment: Experiment, trials: Iterable[Trial]) -> int:
    """The deepest compared epoch that at least half of the trials that reported anything reached.

    Values of different epochs must not be mixed, and at a deep rung only the survivors are left.
    Diverged trials count neither way.
    """
    reached = [trial.epoch for trial in trials if trial.reports and trial.state != "diverged"]
    deepest, *rest = compared_epochs(experiment)
    for epoch in rest:
        if reached and 2 * sum(last >= epoch for last in reached) >= len(reached):
            deepest = epoch
    return deepest
