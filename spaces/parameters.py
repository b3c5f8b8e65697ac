"""What one hyperparameter may be: a float, an integer or a choice, each an Optuna distribution."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import AfterValidator, Field, PlainValidator, model_validator

from spaces.problems import shortened, shown
from spaces.sections import Section
from spaces.text import MOST_LEVELS

Scalar: TypeAlias = str | bool | int | float | None
Params: TypeAlias = dict[str, Scalar]

MOST_PARAMETERS = 200
MOST_CHOICES = 1000
MOST_LISTED = 100_000  # values of a range, for samplers that list them
EXACT = 2**53  # whole numbers up to here survive Optuna, which holds every range in floats


def plain_scalar(value: Any) -> Any:
    """A scalar of NumPy's, or of a subclass such as an enum's, as Python's own; else the value.

    What is read from a file or a journal is of Python's own types, too, and must be equal to it.
    """
    if isinstance(value, np.generic) and value.dtype.kind not in "mM":  # dates and durations
        value = value.item()
    if isinstance(value, bool):
        return value
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    return str.__str__(value) if isinstance(value, str) else value


def _check_scalar(value: Any) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value}")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(
        f"must be a text, a number, true, false or null, got {shown(value)}; "
        "to choose among settings, map names to them: {small: {hidden: [64]}, …}"
    )


Value: TypeAlias = Annotated[Scalar, PlainValidator(lambda held: _check_scalar(plain_scalar(held)))]


def check_plain(value: Any, levels: int = MOST_LEVELS) -> None:
    """See that a value is one that files and journals can hold.

    Args:
        value: free settings, for code of the user's own.
        levels: how deep it may be nested.

    Raises:
        ValueError: when it holds anything but texts, finite numbers, lists and mappings.
    """
    if levels == 0:
        raise ValueError(f"is nested in more than {MOST_LEVELS} levels")
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the keys of a mapping must be texts, got {shown(key)}")
    if isinstance(value, dict | list):
        for held in value.values() if isinstance(value, dict) else value:
            check_plain(held, levels - 1)
    else:
        _check_scalar(value)


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    check_plain(settings)
    return settings


Settings: TypeAlias = Annotated[dict[str, Any], AfterValidator(_plain)]


def _check_condition(value: Any) -> dict[str, list[Scalar]]:
    if not isinstance(value, dict) or not value:
        rule = "must map a parameter to a value or to a list of values"
        raise ValueError(f"{rule}, got {shown(value)}")
    lists = {name: held if isinstance(held, list) else [held] for name, held in value.items()}
    if not all(lists.values()):
        raise ValueError(f"must name at least one value of each parameter, got {shown(value)}")
    return {str(name): [_check_scalar(v) for v in held] for name, held in lists.items()}


Condition: TypeAlias = Annotated[dict[str, list[Scalar]], PlainValidator(_check_condition)]


class _Range(Section):
    """What floats and integers share: ``low`` and ``high`` (both included), ``log`` or ``step``."""

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Condition | None = None

    @model_validator(mode="after")
    def _check_rules(self) -> _Range:
        if self.low > self.high:
            raise ValueError(f"low <= high must hold, got low={self.low} and high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low > 0, got low={self.low}")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step must be above 0, got {self.step}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other")
        if isinstance(self, Int) and max(-self.low, self.high) > EXACT:
            raise ValueError(f"must lie within ±2**53, got low={self.low} and high={self.high}")
        if not self.high - self.low <= sys.float_info.max:
            raise ValueError(f"high - low must be finite, got low={self.low} and high={self.high}")
        if isinstance(self, Float) and self.count > EXACT:
            raise ValueError(f"there must be at most 2**53 steps, got step={self.step}")
        return self

    @property
    def count(self) -> float:
        """About how many values there are; 0 for a range without steps."""
        step = self.step or (1 if isinstance(self, Int) else math.inf)
        return (self.high - self.low) / step

    @property
    def last(self) -> float:
        """The highest value that can be drawn: ``high``, or the last step that is not above it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        return float((high - low) // step * step + low)

    def problem_with(self, value: object) -> str | None:
        """Why ``value`` is outside this range, or None when it is inside."""
        whole = isinstance(self, Int)
        kind = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return f"must be {kind} in [{self.low}, {self.high}], got {shown(value)}"
        if not self.low <= value <= self.high:
            return f"must be in [{self.low}, {self.high}], got {shown(value)}"
        if self.step is not None:
            steps = (value - self.low) / self.step
            if abs(steps - round(steps)) > 1e-8:
                return f"must be {self.low} plus a multiple of {self.step}, got {shown(value)}"
        return None


class Float(_Range):
    """A real number in [low, high], uniform, log-uniform or on a grid of ``step``."""

    type: Literal["float"] = "float"

    def distribution(self) -> FloatDistribution:
        return FloatDistribution(self.low, self.last, log=self.log, step=self.step)

    def suggest(self, name: str, trial: optuna.Trial) -> float:
        return trial.suggest_float(name, self.low, self.last, log=self.log, step=self.step)


class Int(_Range):
    """A whole number in [low, high], uniform or log-uniform, every one or every ``step``-th."""

    low: int
    high: int
    step: int | None = None
    type: Literal["int"] = "int"

    def distribution(self) -> IntDistribution:
        return IntDistribution(self.low, int(self.last), log=self.log, step=self.step or 1)

    def suggest(self, name: str, trial: optuna.Trial) -> int:
        return trial.suggest_int(name, self.low, int(self.last), log=self.log, step=self.step or 1)


class Choice(Section):
    """One of several values, or of several names that each stand for partial settings.

    ``choices`` lists the values. Where the file maps names to settings, the names are the
    choices, and ``settings`` holds what each name sets.
    """

    choices: list[Value] = Field(min_length=1, max_length=MOST_CHOICES)
    settings: dict[str, Settings] | None = None
    when: Condition | None = None

    @model_validator(mode="after")
    def _check_rules(self) -> Choice:
        for choice in self.choices:  # Optuna tells them apart by ==, so 1, 1.0 and true are one
            if self.choices.count(choice) > 1:
                raise ValueError(f"choices must differ, got {shown(choice)} more than once")
        return self

    def distribution(self) -> CategoricalDistribution:
        return CategoricalDistribution(self.choices)

    def suggest(self, name: str, trial: optuna.Trial) -> Scalar:
        return trial.suggest_categorical(name, self.choices)

    def problem_with(self, value: object) -> str | None:
        """Why ``value`` is none of the choices, or None when it is one."""
        if any(type(choice) is type(value) and choice == value for choice in self.choices):
            return None
        return f"must be one of {', '.join(map(shown, self.choices))}, got {shown(value)}"


def _parse(value: Any) -> Float | Int | Choice:
    """Read a parameter as it stands in a file: a range, a list, or a mapping of names."""
    if isinstance(value, Float | Int | Choice):
        return value
    if isinstance(value, list):
        return Choice.model_validate({"choices": value})
    if not isinstance(value, dict):
        raise ValueError(
            "must be a list of choices or a range like {low: 0.1, high: 1.0}, "
            f"got {shown(value)}; a fixed value stands under train or model"
        )
    if "choices" in value:
        if isinstance(value["choices"], dict):
            return _named(value["choices"], {key: value[key] for key in value if key != "choices"})
        return Choice.model_validate(value)
    names = {key: settings for key, settings in value.items() if key != "when"}
    if names and all(isinstance(settings, dict) for settings in names.values()):
        return _named(names, {key: value[key] for key in value if key == "when"})
    if {"low", "high"} & value.keys() or not value:
        whole = all(type(value.get(key, 0)) is int for key in ("low", "high", "step"))
        section = Int if value.get("type", "int" if whole else "float") == "int" else Float
        return section.model_validate(value)
    raise ValueError(
        "must have low and high, or choices, or map names to settings; "
        f"got the keys {shortened(', '.join(map(str, value)), 150)}"
    )


def _named(settings: dict[str, Any], rest: dict[str, Any]) -> Choice:
    named = {str(name): held for name, held in settings.items()}
    return Choice.model_validate({"choices": list(named), "settings": named, **rest})


def dump(parameter: Float | Int | Choice) -> dict[str, Any]:
    """The plain data that ``_parse`` reads back to an equal parameter."""
    data = {key: held for key, held in parameter.model_dump().items() if held is not None}
    if isinstance(parameter, Choice):
        data["choices"] = data.pop("settings", None) or parameter.choices
    return data


Parameter: TypeAlias = Annotated[Float | Int | Choice, PlainValidator(_parse)]


def as_float(parameter: Parameter) -> Parameter:
    """An integer range read as a float range: what ``dropout: {low: 0, high: 1}`` means."""
    if isinstance(parameter, Int):
        return Float.model_validate({**parameter.model_dump(exclude={"type"})})
    return parameter


def describe(distribution: BaseDistribution) -> str:
    """One line for people: ``0.0001 … 1.0 (log)``, ``relu | tanh``."""
    if isinstance(distribution, CategoricalDistribution):
        return " | ".join(str(choice) for choice in distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    by_step = distribution.step is not None and not (
        isinstance(distribution, IntDistribution) and distribution.step == 1
    )
    suffix = " (log)" if distribution.log else f" (step {distribution.step})" if by_step else ""
    return f"{distribution.low:g} … {distribution.high:g}{suffix}"
