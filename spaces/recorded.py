"""The space of a run that is only read: what the journal has of a function that nobody runs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeAlias

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from pydantic import PlainSerializer, PlainValidator

from spaces.parameters import Params, Scalar
from spaces.problems import InputError, Problem, shown
from spaces.returned import check_recordable, check_value
from spaces.space import SearchSpace

_KINDS = ("CategoricalDistribution", "FloatDistribution", "IntDistribution")


def _parse(value: Any) -> dict[str, BaseDistribution]:
    if not isinstance(value, dict):
        raise ValueError(f"must map names to distributions, got {shown(value)}")
    return {str(name): _distribution(held) for name, held in value.items()}


def _distribution(held: Any) -> BaseDistribution:
    if isinstance(held, BaseDistribution):
        check_recordable({"": held})
        return held
    if not isinstance(held, dict) or held.get("name") not in _KINDS:
        raise ValueError(f"must be one of {', '.join(_KINDS)}, got {shown(held)}")
    attributes = held.get("attributes")
    if not isinstance(attributes, dict):
        raise ValueError(f"must have attributes, got {shown(held)}")
    is_choice = held["name"] == "CategoricalDistribution"
    parts = attributes.get("choices") if is_choice else list(attributes.values())
    if not isinstance(parts, list):
        raise ValueError(f"must have a list of choices, got {shown(held)}")
    for part in parts:
        check_value(part)
        if not is_choice and not isinstance(part, int | float | None):
            raise ValueError(f"must have numbers, got {shown(part)}")
    try:
        found = json_to_distribution(json.dumps(held))
        if not isinstance(found, CategoricalDistribution):
            assert isinstance(found, FloatDistribution | IntDistribution)
            check_value(float(found.high - found.low))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"is no distribution of Optuna: {error}") from None
    return found


def _dump(distributions: dict[str, BaseDistribution] | None) -> dict[str, Any] | None:
    if distributions is None:
        return None
    return {name: json.loads(distribution_to_json(held)) for name, held in distributions.items()}


Distributions: TypeAlias = Annotated[
    dict[str, BaseDistribution], PlainValidator(_parse), PlainSerializer(_dump)
]


def check_drawn(params: Params, distributions: Mapping[str, BaseDistribution]) -> None:
    """See that a configuration is drawn from these distributions.

    Raises:
        ValueError: when it has other names, or a value that its distribution has not.
    """
    optuna.trial.create_trial(value=0.0, params=params, distributions=dict(distributions))


class RecordedSpace(SearchSpace):
    """What a journal says of a space that is a function of the user's, which is not imported.

    ``note`` is told each configuration; ``distributions`` are then wide enough for all of them.
    """

    def __init__(self) -> None:
        super().__init__(_never_run)
        self._seen: dict[str, dict[Scalar, None]] = {}
        self._recorded: dict[str, BaseDistribution] = {}
        self._known: dict[str, BaseDistribution] | None = None  # until the next one is noted

    def note(self, params: Params, distributions: Mapping[str, BaseDistribution] | None) -> None:
        """Take a configuration in, with what it was drawn from (None: an old journal).

        Raises:
            InputError: when a parameter was a choice before and is a range now, or so; or when a
                value is too large a number.
        """
        self._known = None
        for name, value in params.items():
            if distributions is None:
                try:
                    check_value(value)
                except ValueError as error:
                    raise InputError(f"{name} {error}") from None
            else:
                before = self._recorded.get(name, distributions[name])
                self._recorded[name] = _joined(name, before, distributions[name])
            self._seen.setdefault(name, {})[value] = None

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Of every parameter that came up; where the journal has none, as wide as its values."""
        if self._known is None:
            self._known = {
                name: holding(self._recorded.get(name), list(held))
                for name, held in self._seen.items()
            }
        return self._known

    def distributions_of(self, params: Params) -> dict[str, BaseDistribution]:
        """Those of one configuration."""
        known = self.distributions
        return {name: known[name] for name in params}

    def problems_with(self, params: Mapping[str, Any]) -> list[Problem]:
        """None: only the function could tell."""
        return []


def _never_run(trial: optuna.Trial) -> NoReturn:
    raise InputError("the space is a function, and a run is read without running it")


def _joined(name: str, a: BaseDistribution, b: BaseDistribution) -> BaseDistribution:
    """A distribution that has the values of both."""
    if a == b:
        return a
    if isinstance(a, CategoricalDistribution) and isinstance(b, CategoricalDistribution):
        return CategoricalDistribution(tuple(dict.fromkeys([*a.choices, *b.choices])))
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution):
        return IntDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log and b.log)
    if isinstance(a, FloatDistribution) and isinstance(b, FloatDistribution):
        return FloatDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log and b.log)
    raise InputError(f"{name} is drawn from {b}, before it was {a}")


def distribution_of_values(
    values: Sequence[Scalar],
) -> CategoricalDistribution | FloatDistribution | IntDistribution:
    """A distribution as wide as some values: a range of numbers, or else choices."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    try:
        is_range = len(numbers) == len(values) and math.isfinite(max(numbers) - min(numbers))
    except OverflowError:  # what no float holds is a choice
        is_range = False
    if not is_range:
        return CategoricalDistribution(tuple(dict.fromkeys(values)))
    whole = [number for number in numbers if isinstance(number, int)]
    if len(whole) == len(numbers):
        return IntDistribution(min(whole), max(whole))
    return FloatDistribution(min(numbers), max(numbers))


def holding(
    distribution: BaseDistribution | None, values: Sequence[Scalar]
) -> CategoricalDistribution | FloatDistribution | IntDistribution:
    """The distribution, wide enough for all values that were drawn.

    What a function draws may depend on what it drew before: a parameter may never come up among
    the configurations that are drawn to see them all, and a range may change.
    """
    if distribution is None:
        return distribution_of_values(values)
    if isinstance(distribution, CategoricalDistribution):
        new = [value for value in dict.fromkeys(values) if value not in distribution.choices]
        return CategoricalDistribution([*distribution.choices, *new]) if new else distribution
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    numbers = _numbers_of(values)
    if len(numbers) < len(values):
        return CategoricalDistribution(tuple(dict.fromkeys(values)))
    low, high = min([distribution.low, *numbers]), max([distribution.high, *numbers])
    if (low, high) == (distribution.low, distribution.high):
        return distribution
    return FloatDistribution(low, high, log=distribution.log and low > 0)


def _numbers_of(values: Sequence[Scalar]) -> list[int | float]:
    """Those that can stand on a range: what no float holds is a choice."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return [number for number in numbers if abs(number) <= sys.float_info.max]
