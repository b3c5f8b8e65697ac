"""The parameters of a run as axes: where a value stands, and how an axis is cut into levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from analysis.display.numbers import number
from analysis.display.tables import distinct_texts
from analysis.record.trials import Trial
from spaces.experiment import Experiment
from spaces.parameters import Params, Scalar
from spaces.recorded import holding

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_BINS = 6
FEW_BINS = 5
MOST_SHOWN = 12  # choices that are levels of their own; the rarer ones are one level together
OTHERS = "others"


@dataclass(frozen=True)
class Axis:
    """One parameter. A place is the number of a choice, or the number itself (its log10 with log).

    ``distribution`` holds every value that a trial has, also where a user's function draws from
    changing ranges.
    """

    name: str
    distribution: CategoricalDistribution | FloatDistribution | IntDistribution

    @property
    def choices(self) -> tuple[Scalar, ...] | None:
        """The choices, None for a range."""
        if isinstance(self.distribution, CategoricalDistribution):
            return tuple(self.distribution.choices)
        return None

    @property
    def is_log(self) -> bool:
        return not isinstance(self.distribution, CategoricalDistribution) and self.distribution.log

    def place(self, value: Scalar) -> float:
        """Where a value stands on the axis."""
        if isinstance(self.distribution, CategoricalDistribution):
            choices = [(type(choice), choice) for choice in self.distribution.choices]
            if (type(value), value) in choices:  # 1 is not true
                return float(choices.index((type(value), value)))
            return float(self.distribution.choices.index(value))
        number = float(value or 0.0)
        return math.log10(number) if self.is_log else number

    def value(self, place: float) -> float:
        """What stands at a place of a range."""
        return 10.0**place if self.is_log else place

    def places(self, rows: Sequence[Params]) -> Floats:
        """The places of each row's value, NaN where the parameter does not apply; (rows,)."""
        found = [self.place(row[self.name]) if self.name in row else math.nan for row in rows]
        return np.array(found, dtype=np.float64)

    @property
    def bounds(self) -> tuple[float, float]:
        """The first and the last place; a choice is as wide as any other."""
        if isinstance(self.distribution, CategoricalDistribution):
            return -0.5, len(self.distribution.choices) - 0.5
        return self.place(self.distribution.low), self.place(self.distribution.high)


@dataclass(frozen=True)
class Levels:
    """An axis cut into levels: its choices, or bins of a range.

    ``bounds``: of the bins, in the parameter's own unit, one more than there are labels; None for
    choices. ``codes``: the level of each row, -1 where the parameter does not apply.
    """

    axis: Axis
    labels: tuple[str, ...]
    codes: Ints  # (rows,)
    bounds: tuple[float, ...] | None = None


def axes_of(experiment: Experiment, trials: Sequence[Trial]) -> list[Axis]:
    """The axes of a search, in the order of its space.

    Raises:
        InputError: when the space is a function of the user's that can't be loaded.
    """
    distributions = dict(experiment.search_space.distributions)
    values: dict[str, list[Scalar]] = {name: [] for name in distributions}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    return [Axis(name, holding(distributions.get(name), held)) for name, held in values.items()]


def levels_of(
    axis: Axis, rows: Sequence[Params], most_values: int = 0, most_choices: int = MOST_SHOWN
) -> Levels:
    """Cut an axis into levels.

    Choices are levels, the rarest of too many one together. A range of a few whole numbers has each
    as a level; another is cut into bins of equal width (of equal ratio with log).

    Args:
        axis: the parameter.
        rows: the configurations.
        most_values: where rows have no more different numbers than these, each is a level.
        most_choices: so many are levels of their own.
    """
    places = axis.places(rows)
    if axis.choices is not None:
        return _choice_levels(axis, axis.choices, places, most_choices)
    values: list[Any] = sorted({row[axis.name] for row in rows if axis.name in row})
    if len(values) <= most_values:
        return _choice_levels(axis, values, _numbered(axis, values, places), most_values)
    low, high = axis.bounds
    distribution = axis.distribution
    if isinstance(distribution, IntDistribution):
        numbers = range(distribution.low, distribution.high + 1, distribution.step)
        last = (distribution.high - distribution.low) // distribution.step  # there may be 2**63
        if last < MOST_BINS:
            return _choice_levels(axis, numbers, _numbered(axis, numbers, places), MOST_BINS)
    bins = min(max(round(high - low), 3), MOST_BINS) if axis.is_log else FEW_BINS
    bounds = _bounds(axis, np.linspace(low, high, bins + 1))
    inner = [axis.place(bound) for bound in bounds[1:-1]]
    codes = np.searchsorted(inner, places, side="right")
    texts = distinct_texts(bounds)
    labels = tuple(f"{a} to {b}" for a, b in pairwise(texts))
    return Levels(axis, labels, np.where(np.isnan(places), -1, codes), bounds)


def _bounds(axis: Axis, edges: Floats) -> tuple[float, ...]:
    """The edges in the parameter's own unit, the inner ones short enough to read."""
    first, *inner, last = (10**edges if axis.is_log else edges).tolist()
    short = [float(number(edge, 2)) for edge in inner]
    is_fine = all(a < b for a, b in pairwise([first, *short, last]))
    return (first, *(short if is_fine else inner), last)


def _numbered(axis: Axis, numbers: Sequence[Scalar], places: Floats) -> Floats:
    """The places again, as positions among ``numbers``."""
    known = np.array([axis.place(number) for number in numbers])
    nearest = np.abs(places[:, None] - known).argmin(axis=1) if len(known) else places
    return np.where(np.isnan(places), np.nan, nearest)


def _choice_levels(axis: Axis, choices: Sequence[Scalar], places: Floats, most: int) -> Levels:
    codes = np.where(np.isnan(places), -1, places).astype(np.int64)
    labels = distinct_texts(choices)
    if len(choices) <= most:
        return Levels(axis, tuple(labels), codes)
    counts = np.bincount(codes[codes >= 0], minlength=len(choices))
    kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
    renamed = np.full(len(choices) + 1, most - 1)
    renamed[kept] = np.arange(len(kept))
    renamed[-1] = -1  # where it does not apply
    return Levels(axis, (*(labels[place] for place in kept), OTHERS), renamed[codes])
