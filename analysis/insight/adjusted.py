"""The levels of a parameter compared as if all else were alike.

A sampler that learns draws good values of all parameters together, late in the run: plain means
of its trials would praise a choice for the company it kept. So a level's value is estimated in a
linear model beside the other parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.insight.axes import Axis, Bools, Floats, Ints, levels_of
from analysis.stats.intervals import Interval, student
from spaces.parameters import Params

FEWEST = 5  # configurations at a level that is compared
_KNOTS = 5


@dataclass(frozen=True)
class LevelFit:
    """What each level comes to, all else alike.

    Args:
        means: of each level; (levels,).
        counts: configurations at each level; (levels,).
        weights: of each value in each mean; (levels, rows).
        errors: of each row, as HC3 counts them: e / (1 - h); (rows,).
        freedom: degrees of freedom of the whole fit.
        estimable: whether a level's mean can be told from the rest; (levels,).
    """

    means: Floats
    counts: Ints
    weights: Floats
    errors: Floats
    freedom: int
    estimable: Bools

    def compared(self) -> list[int]:
        """The levels with enough configurations."""
        return np.flatnonzero((self.counts >= FEWEST) & self.estimable).tolist()

    def difference(self, one: int, other: int, alpha: float) -> Interval:
        """By how much the mean of one level is above another's.

        The standard error is HC3 (MacKinnon and White 1985, doi 10.1016/0304-4076(85)90158-7), for
        levels differ in spread; the degrees of freedom count the values that carry the
        difference, which makes it Welch's where there are no other parameters.

        Args:
            one, other: the levels.
            alpha: how often an interval may miss.
        """
        weights = self.weights[one] - self.weights[other]
        error = float(np.sqrt(np.sum((weights * self.errors) ** 2)))
        carried = float(np.sum(weights**2) ** 2 / np.sum(weights**4)) - 2
        freedom = max(1.0, min(carried, self.freedom))
        reach = student(freedom, 1 - alpha) * error
        value = float(self.means[one] - self.means[other])
        return Interval(value, value - reach, value + reach)


def fit_levels(values: Floats, codes: Ints, count: int, others: Floats) -> LevelFit | None:
    """Fit values by level, beside other columns.

    Args:
        values: finite; (rows,).
        codes: the level of each row, all from 0 to ``count`` - 1; (rows,).
        count: of levels.
        others: columns for all else, as ``columns_of`` gives them; (rows, columns).

    Returns:
        The fit; None where the rows are fewer than twice what has to be estimated.
    """
    indicators = (codes[:, None] == np.arange(count)).astype(np.float64)
    centered = others - others.mean(axis=0) if len(others) else others
    design = np.hstack([indicators, centered])  # (rows, levels + columns)
    rank = int(np.linalg.matrix_rank(design)) if design.size else 0
    if rank == 0 or len(values) < 2 * rank:
        return None
    inverse = np.linalg.pinv(design)  # (levels + columns, rows)
    leverage = np.clip(np.einsum("ij,ji->i", design, inverse), 0.0, 1.0)
    residuals = values - design @ (inverse @ values)
    free = 1.0 - leverage
    errors = np.where(free > 1e-6, residuals / np.maximum(free, 1e-6), 0.0)
    seen = inverse[:count] @ design  # the identity where a mean can be told
    expected = np.eye(count, design.shape[1])
    return LevelFit(
        means=inverse[:count] @ values,
        counts=np.bincount(codes, minlength=count),
        weights=inverse[:count],
        errors=errors,
        freedom=len(values) - rank,
        estimable=np.abs(seen - expected).max(axis=1) < 1e-6,
    )


def columns_of(axes: Sequence[Axis], rows: Sequence[Params], most: int) -> Floats:
    """Columns that hold what parameters may do: an indicator a level, a broken line a range.

    Args:
        axes: the parameters.
        rows: their values.
        most: columns; where there would be more, ranges are straight lines.
    """
    for is_straight in (False, True):
        columns = [column for axis in axes for column in _columns(axis, rows, is_straight)]
        if len(columns) <= most:
            break
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(rows)).T


def _columns(axis: Axis, rows: Sequence[Params], is_straight: bool) -> list[Floats]:
    """The columns of one parameter; where it does not apply, a column says so, the rest are 0."""
    places = axis.places(rows)
    is_absent = np.isnan(places)
    absent = [is_absent.astype(np.float64)] if is_absent.any() else []
    if is_absent.all():
        return []
    if axis.choices is not None:
        codes = levels_of(axis, rows).codes
        present = np.unique(codes[codes >= 0])
        return [*((codes == code).astype(np.float64) for code in present[1:]), *absent]
    if is_straight:
        return [np.where(is_absent, 0.0, places), *absent]
    knots = np.unique(np.quantile(places[~is_absent], np.linspace(0, 1, _KNOTS)))
    lines = np.eye(len(knots))[1:]  # each is 1 at its knot and 0 at the others
    hats = [np.interp(places, knots, line) for line in lines]
    return [*(np.where(is_absent, 0.0, hat) for hat in hats), *absent]
