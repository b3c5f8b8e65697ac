"""Configurations as points: a row of numbers for each, and new ones, at random or near others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Container
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from spaces.parameters import Params
from spaces.space import SearchSpace

Array = npt.NDArray[np.float64]

OFF_RANGE, OFF_CHOICE = 0.5, -1.0  # of a parameter whose condition does not hold
_CHANGED, _STEP, _SMALL_STEP = 0.3, 0.15, 0.05


class Points:
    """The points of a space that is given by its parameters.

    A range is a number in [0, 1] (logarithmic where its distribution is), a choice the place of its
    value among the choices.

    Args:
        space: what may vary.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        distributions = self._distributions()
        self.names = list(distributions)
        self._axes = [_Axis(distribution) for distribution in distributions.values()]
        self.is_choice = np.array([axis.count > 0 for axis in self._axes], dtype=bool)
        can_differ = [place for place, axis in enumerate(self._axes) if not axis.is_fixed]
        self._can_differ = can_differ or list(range(len(self._axes)))
        self._off = np.where(self.is_choice, OFF_CHOICE, OFF_RANGE)

    def _distributions(self) -> dict[str, BaseDistribution]:
        return self.space.distributions

    def row(self, params: Params) -> Array:
        """The point of a configuration."""
        row = self._off.copy()
        for place, (name, axis) in enumerate(zip(self.names, self._axes, strict=True)):
            if name in params:
                row[place] = axis.place(params[name])
        return row

    def params(self, row: Array) -> Params:
        """The configuration of a point that came from here."""
        is_on = self._is_on(row[None])[0]
        parts = zip(self.names, self._axes, row, is_on, strict=True)
        return {name: axis.value(float(x)) for name, axis, x, on in parts if on}

    def random(self, count: int, random: np.random.Generator) -> Array:
        """Points (count, parameters) at random."""
        rows = random.random((count, len(self.names)))
        for place, axis in enumerate(self._axes):
            if axis.count:
                rows[:, place] = random.integers(0, axis.count, count)
        return self._tidy(rows)

    def near(self, parents: Array, random: np.random.Generator) -> Array:
        """A point near each of some: at least one parameter differs, each with probability 0.3."""
        drawn = self.random(len(parents), random)
        width = random.choice([_STEP, _SMALL_STEP], (len(parents), 1))
        moved = np.clip(parents + width * random.standard_normal(parents.shape), 0.0, 1.0)
        differs = random.random(parents.shape) < _CHANGED
        differs[np.arange(len(parents)), random.choice(self._can_differ, len(parents))] = True
        rows = np.where(differs, np.where(self.is_choice, drawn, moved), parents)
        return self._tidy(np.where(self._is_on(parents), rows, drawn))

    def distances(self, rows: Array, others: Array) -> Array:
        """(parameters, rows, others): squared differences; 1 between two choices that differ."""
        squares = np.empty((len(self.names), len(rows), len(others)))
        for place, is_choice in enumerate(self.is_choice):
            a, b = rows[:, place, None], others[None, :, place]
            squares[place] = (a != b) if is_choice else (a - b) ** 2
        return squares

    def weighted_distances(self, rows: Array, others: Array, weights: Array) -> Array:
        """(rows, others): the squared differences, each parameter's times its weight, added up."""
        own, theirs = self._scaled(rows, weights), self._scaled(others, weights)
        squares: Array = own @ (-2.0 * theirs.T)
        squares += (own**2).sum(axis=1)[:, None]
        squares += (theirs**2).sum(axis=1)
        return np.maximum(squares, 0.0, out=squares)

    def _scaled(self, rows: Array, weights: Array) -> Array:
        """Points (rows, coordinates) whose squared distance is the weighted one.

        A choice has a coordinate for each of its values, so that two that differ are equally far.
        """
        columns = []
        for place, (axis, weight) in enumerate(zip(self._axes, weights.tolist(), strict=True)):
            values = rows[:, place, None]
            if axis.count:
                is_chosen = values == [OFF_CHOICE, *range(axis.count)]
                columns.append(math.sqrt(weight / 2) * is_chosen)
            else:
                columns.append(math.sqrt(weight) * values)
        return np.hstack(columns) if columns else np.zeros((len(rows), 0))

    def _tidy(self, rows: Array) -> Array:
        """Put ranges with steps on their steps, and what does not apply to where it is off."""
        for place, axis in enumerate(self._axes):
            if axis.has_steps:
                rows[:, place] = [axis.place(axis.value(x)) for x in rows[:, place].tolist()]
        return np.where(self._is_on(rows), rows, self._off)

    def _is_on(self, rows: Array) -> npt.NDArray[np.bool_]:
        """(rows, parameters): whether a parameter's condition holds."""
        is_on = np.ones(rows.shape, dtype=bool)
        for name in self.space.order:
            place = self.names.index(name)
            for other, values in (self.space.parameters[name].when or {}).items():
                at = self.names.index(other)
                wanted = [self._axes[at].place(value) for value in values]
                holds = np.isclose(rows[:, at, None], wanted).any(axis=1)
                is_on[:, place] &= is_on[:, at] & holds
        return is_on


class DrawnPoints(Points):
    """The points of a space that is a function, which alone can tell what a configuration is.

    New ones are drawn through the function, which takes longer: there are fewer.
    """

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        self._of: dict[bytes, Params] = {}  # of those that were asked for
        self._drawn: dict[bytes, Params] = {}  # since points were last drawn at random

    def _distributions(self) -> dict[str, BaseDistribution]:
        """What the function draws from; where a range depends on other parameters, the widest."""
        widest: dict[str, BaseDistribution] = {}
        for params in self.space.samples(100, seed=0):
            for name, held in self.space.distributions_of(params).items():
                widest[name] = _union(widest.get(name, held), held)
        return widest

    def row(self, params: Params) -> Array:
        """The point of a configuration."""
        row = super().row(params)
        self._of[row.tobytes()] = params
        return row

    def params(self, row: Array) -> Params:
        """The configuration of a point that came from here."""
        key = row.tobytes()
        return self._drawn[key] if key in self._drawn else self._of[key]

    def random(self, count: int, random: np.random.Generator) -> Array:
        """Points (at most count, parameters) at random."""
        self._drawn.clear()
        drawn = self.space.samples(min(count, 40), int(random.integers(2**31)))
        return np.array([self._draw(params) for params in drawn])

    def _draw(self, params: Params) -> Array:
        row = super().row(params)
        self._drawn[row.tobytes()] = params
        return row

    def near(self, parents: Array, random: np.random.Generator) -> Array:
        """Points near some, of whose parameters most are kept."""
        found = []
        for parent in parents[:20]:
            kept = {n: v for n, v in self.params(parent).items() if random.random() > _CHANGED}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                params = self.space.around(kept, int(random.integers(2**31)))
            # what is kept may lie outside a range that depends on what was drawn anew
            if not self.space.problems_with(params):
                found.append(self._draw(params))
        return np.array(found) if found else parents[:1]


class _Axis:
    """One parameter: its values as numbers. ``count``: of its choices, 0 for a range."""

    def __init__(self, distribution: BaseDistribution) -> None:
        self._distribution = distribution
        self.count, self.has_steps = 0, False
        if isinstance(distribution, CategoricalDistribution):
            self.count = len(distribution.choices)
            self.is_fixed = self.count == 1
            return
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        self._scale: Callable[[float], float] = math.log if distribution.log else float
        self._unscale: Callable[[float], float] = math.exp if distribution.log else float
        self._low, self._high = self._scale(distribution.low), self._scale(distribution.high)
        self._step: float | None = distribution.step
        self._is_whole = isinstance(distribution.low, int)
        self.is_fixed = self._high <= self._low
        self.has_steps = self._step is not None or self._is_whole or self.is_fixed

    def place(self, value: Any) -> float:
        if self.count:
            return float(self._distribution.to_internal_repr(value))
        if self._high <= self._low:
            return OFF_RANGE
        return (self._scale(value) - self._low) / (self._high - self._low)

    def value(self, place: float) -> Any:
        distribution: Any = self._distribution
        if self.count:
            return distribution.choices[int(place)]
        value = self._unscale(self._low + place * (self._high - self._low))
        if self._step is not None:
            value = distribution.low + round((value - distribution.low) / self._step) * self._step
        value = min(max(value, distribution.low), distribution.high)
        return round(value) if self._is_whole else value


def _union(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """The range over both; choices do not differ."""
    if isinstance(one, CategoricalDistribution) or isinstance(other, CategoricalDistribution):
        return one
    a: Any = one
    b: Any = other
    union: BaseDistribution = type(a)(min(a.low, b.low), max(a.high, b.high), log=a.log)
    return union


def points_of(space: SearchSpace) -> Points:
    """The points of a space."""
    return Points(space) if space.parameters else DrawnPoints(space)


def unlike(rows: Array, seen: Container[bytes]) -> Array:
    """Those rows that are none of some others, of which the bytes are known; all where each is."""
    is_new = np.array([row.tobytes() not in seen for row in rows], dtype=bool)
    return rows[is_new] if is_new.any() else rows
