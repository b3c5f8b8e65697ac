"""The different configurations of a search, each of which several trials may have had."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple, TypeAlias

from analysis.insight.observations import value_at
from analysis.record.trials import Trial, Trials
from spaces.metric import Metric
from spaces.parameters import Params


class Searched(NamedTuple):
    """What the search believed of a configuration: the first trial that had it, the mean value.

    ``is_of_end``: whether that is a value of the last epoch, as a training to the end gives it.
    """

    trial: int
    value: float
    is_of_end: bool


def searched_values(trials: Trials, metric: Metric) -> dict[ParamsKey, Searched]:
    """What the search believed of every configuration, from the trials that ended with a value.

    Of one that several trials had it is the mean over them at the last epoch that all of these
    reached: values of different epochs are never mixed.
    """
    found: dict[ParamsKey, list[Trial]] = {}
    for trial in trials:
        if trial.state != "running" and trial.value(metric) is not None:
            found.setdefault(params_key(trial.params), []).append(trial)
    return {key: _searched(held, metric) for key, held in found.items()}


def _searched(trials: Sequence[Trial], metric: Metric) -> Searched:
    epoch = min(trial.epoch for trial in trials)
    value = fmean(value_at(trial, metric, epoch) for trial in trials)
    return Searched(trials[0].number, value, all(trial.state == "completed" for trial in trials))


ParamsKey: TypeAlias = frozenset[tuple[str, Hashable]]


def params_key(params: Params) -> ParamsKey:
    """The same for the same configuration: 1 and 1.0 are, 1 and true are not."""
    return frozenset((name, (isinstance(value, bool), value)) for name, value in params.items())
