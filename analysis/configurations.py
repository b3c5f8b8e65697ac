"""The different configurations of a search, each of which several trials may have had."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple, TypeAlias

from analysis.trials import Trials
from spaces.experiment import Metric
from spaces.parameters import Params


class Searched(NamedTuple):
    """What the search believed of a configuration: the first trial that had it, the mean value."""

    trial: int
    value: float


def searched_values(trials: Trials, metric: Metric) -> dict[ParamsKey, Searched]:
    """What the search believed of every configuration, from the trials that ended with a value."""
    values: dict[ParamsKey, list[tuple[int, float]]] = {}
    for trial in trials:
        value = trial.value(metric)
        if trial.state != "running" and value is not None:
            values.setdefault(params_key(trial.params), []).append((trial.number, value))
    return {
        key: Searched(held[0][0], sum(value for _, value in held) / len(held))
        for key, held in values.items()
    }


ParamsKey: TypeAlias = frozenset[tuple[str, Hashable]]


def params_key(params: Params) -> ParamsKey:
    """The same for the same configuration: 1 and 1.0 are, 1 and true are not."""
    return frozenset((name, (isinstance(value, bool), value)) for name, value in params.items())
