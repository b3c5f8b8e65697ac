"""All trials at one epoch, the early-stopped ones too: their parameters and their values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analysis.insight.axes import Floats
from analysis.record.trials import Reported, Trial
from spaces.experiment import Experiment
from spaces.metric import Metric
from spaces.parameters import Params


@dataclass(frozen=True)
class Observed:
    """The configurations that were trained up to an epoch, or diverged on the way to it.

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
    def ranks(self) -> Floats:
        """The rank of each row, 1 the worst; ties share one. The diverged are worst together."""
        sign = -1.0 if self.is_lower_better else 1.0
        filled = np.where(np.isnan(self.values), -np.inf, sign * self.values)
        return average_ranks(filled)

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


def average_ranks(values: Floats) -> Floats:
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
        has_diverged = trial.state == "diverged" and trial.epoch <= epoch
        value = math.nan if has_diverged else value_at(trial, experiment.metric, epoch)
        if trial.epoch <= before if has_diverged else math.isnan(value):
            continue
        diverged += has_diverged
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
        experiment.metric.is_minimized,
    )


def _mean(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def value_at(trial: Trial, metric: Metric, epoch: int) -> float:
    """A trial's value at an epoch, NaN where it has no finite one."""
    return metric.of(report_at(trial, metric, epoch))


def report_at(trial: Trial, metric: Metric, epoch: int) -> Reported | None:
    """The report whose value counts at an epoch, None where the epoch has no finite value.

    It is that of the epoch, or with ``scope: best`` the best up to it; reports stand in order.
    """
    if trial.epoch < epoch or not math.isfinite(metric.of(trial.reports[epoch - 1])):
        return None
    return metric.counting(trial.reports[:epoch])


def shared_epoch(experiment: Experiment, trials: Iterable[Trial]) -> int:
    """The epoch at which all trials can be compared: values of different ones are never mixed.

    With ASHA it is the first rung, however the search went: all enter it, and at later ones only
    survivors are left. Where nobody is stopped it is the last compared epoch that every ended trial
    reached; diverged and failed trials count neither way.
    """
    first, *later = compared_epochs(experiment)
    if experiment.scheduler.name == "asha":
        return first
    lasts = [t.epoch for t in trials if t.reports and t.state in ("completed", "stopped")]
    return max((epoch for epoch in later if lasts and min(lasts) >= epoch), default=first)
