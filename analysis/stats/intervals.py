"""Intervals: of means of a few scores, of differences, of shares. They are drawn from 5 values on.

Those of confirmed scores hold the true mean about 95 times in 100.

Trainings have an unpleasant kind of noise: a seed falls far below the others more often than one
rises far above them. A few seeds rarely show it, and then their mean is too good and their spread
too small. So an interval reaches further on the worse side: Student's t leaves 0.5 % outside
there, and 3 % on the better side (of normal noise it holds 96.5 %). Accuracies on a split of n
samples are multiples of 1/n, and a few of them often the same: twice the variance of such a step,
1 / (6 n^2), is added to theirs. ``benchmarks/coverage.py`` measures what comes of it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from analysis.stats.score_range import FREE, Bounds

_OUTSIDE_WORSE = 0.005  # how often, under normal noise, the truth is past the end on this side
_OUTSIDE_BETTER = 0.03
_OUTSIDE_EACH = 0.015  # of a difference whose two means are equally uncertain
_STEPS = 1.0 / 6.0  # of the variance of scores, in steps squared
FEWEST_DRAWN = 5  # values: an interval of fewer is as wide as the axis, and is not drawn


class Interval(NamedTuple):
    """A figure and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A mean (or a difference of two) of ``n`` scores: its standard error and its interval.

    ``expected``: between which values one more score is expected.
    """

    n: int
    mean: float
    se: float
    low: float
    high: float
    expected: tuple[float, float]

    def plain(self) -> dict[str, Any]:
        """The figures as ``--json`` prints them."""
        return {"n": self.n, "mean": self.mean, "se": self.se, "low": self.low, "high": self.high}


def finite(scores: Sequence[float]) -> list[float]:
    """The scores that are numbers: those of trainings that came to their ends."""
    return [score for score in scores if math.isfinite(score)]


def estimate(scores: Sequence[float], bounds: Bounds = FREE) -> Estimate | None:
    """The mean of independent scores; None for fewer than two, which say nothing of their spread.

    Args:
        scores: finite, such as those of one configuration under several seeds.
        bounds: what scores can be; the interval stays within.
    """
    n = len(scores)
    if n < 2:
        return None
    mean, se = fmean(scores), math.sqrt(_variance(scores, bounds) / n)
    worse, better = (se * student(n - 1, 1 - 2 * p) for p in (_OUTSIDE_WORSE, _OUTSIDE_BETTER))
    below, above = (worse, better) if bounds.mode == "max" else (better, worse)
    more = math.sqrt(n + 1)
    return Estimate(
        n,
        mean,
        se,
        bounds.clip(mean - below),
        bounds.clip(mean + above),
        (bounds.clip(mean - more * below), bounds.clip(mean + more * above)),
    )


def difference(
    a: Sequence[float], b: Sequence[float], a_bounds: Bounds = FREE, b_bounds: Bounds = FREE
) -> Estimate | None:
    """By how much the mean of ``a`` is better than that of ``b``, by Welch (Biometrika 34, 1947).

    Where one of the two means is much less certain than the other, its noise is that of the
    difference, and the interval reaches further on the side where that noise is longer.

    Args:
        a: independent finite scores.
        b: the same of another configuration; the spreads may differ.
        a_bounds: what scores of ``a`` can be, and which are better.
        b_bounds: the same of ``b``.
    """
    if len(a) < 2 or len(b) < 2:
        return None
    sign = 1.0 if a_bounds.mode == "max" else -1.0
    mean = sign * (fmean(a) - fmean(b))
    of_a, of_b = _variance(a, a_bounds) / len(a), _variance(b, b_bounds) / len(b)
    both = of_a + of_b
    se = math.sqrt(both)
    below = above = 0.0
    if both > 0.0:
        share = of_a / both  # Satterthwaite's degrees of freedom, without squares that underflow
        degrees = 1.0 / (share**2 / (len(a) - 1) + (1.0 - share) ** 2 / (len(b) - 1))
        below = se * student(degrees, 1 - 2 * _outside(share))
        above = se * student(degrees, 1 - 2 * _outside(1.0 - share))
    most = min(a_bounds.high - a_bounds.low, b_bounds.high - b_bounds.low)
    low, high = max(mean - below, -most), min(mean + above, most)
    return Estimate(len(a) + len(b), mean, se, low, high, (low, high))


def _outside(share: float) -> float:
    """How much is left outside of a difference on the side where one mean's noise is longer.

    Args:
        share: of the variance of the difference, that mean's.
    """
    distance = max(-1.0, min(1.0, 4.0 * share - 2.0))  # from a quarter to three quarters
    toward = _OUTSIDE_WORSE if distance > 0 else _OUTSIDE_BETTER
    return _OUTSIDE_EACH + abs(distance) * (toward - _OUTSIDE_EACH)


def _variance(scores: Sequence[float], bounds: Bounds) -> float:
    mean = fmean(scores)
    squares = math.fsum((score - mean) ** 2 for score in scores)
    return squares / (len(scores) - 1) + _STEPS * bounds.step**2


@functools.lru_cache(maxsize=1024)
def student(degrees: float, level: float = 0.95) -> float:
    """The quantile of Student's t that leaves ``level`` between it and its negative."""
    from scipy.special import stdtrit  # not all that show a run need it

    return float(stdtrit(degrees, 0.5 + level / 2))


def mean_interval(values: Sequence[float], bounds: Bounds = FREE) -> Interval | None:
    """The mean with Student's 95 % interval, within what values can be; None for too few."""
    n = len(values)
    if n < FEWEST_DRAWN:
        return None
    mean, reach = float(np.mean(values)), student(n - 1) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(mean, bounds.clip(mean - reach), bounds.clip(mean + reach))


def wilson(count: int, n: int, alpha: float) -> Interval:
    """Wilson's interval of a share (1927, doi 10.1080/01621459.1927.10502953).

    Args:
        count: of n.
        n: at least 1.
        alpha: how often the interval may miss.
    """
    from scipy.stats import binomtest  # takes a second to import, and is rarely needed

    found = binomtest(count, n).proportion_ci(1 - alpha, method="wilson")
    return Interval(count / n, float(found.low), float(found.high))


def newcombe(one: tuple[int, int], other: tuple[int, int], alpha: float) -> Interval:
    """Newcombe's interval of a difference of shares (1998, his method 10).

    Args:
        one, other: a count and of how many.
        alpha: how often the interval may miss.
    """
    a, b = wilson(*one, alpha), wilson(*other, alpha)
    value = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value, value - below, value + above)
