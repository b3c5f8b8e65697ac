"""Means of a few scores, with their 95 % intervals by Student's t."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean (or a difference of two) of ``n`` scores: its standard error, half its interval."""

    n: int
    mean: float
    se: float
    half: float

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    @property
    def expected(self) -> tuple[float, float]:
        """Between which values one more score is expected, 95 % of the time."""
        half = self.half * math.sqrt(self.n + 1)
        return self.mean - half, self.mean + half

    def plain(self) -> dict[str, Any]:
        """The figures as ``--json`` prints them."""
        return {"n": self.n, "mean": self.mean, "se": self.se, "low": self.low, "high": self.high}


def finite(scores: Sequence[float]) -> list[float]:
    """The scores that are numbers: those of trainings that came to their ends."""
    return [score for score in scores if math.isfinite(score)]


def estimate(scores: Sequence[float]) -> Estimate | None:
    """The mean of independent scores; None for fewer than two, which say nothing of their spread.

    Args:
        scores: finite, such as those of one configuration under several seeds.
    """
    n = len(scores)
    if n < 2:
        return None
    se = math.sqrt(variance(scores) / n)
    return Estimate(n, fmean(scores), se, student(n - 1) * se)


def difference(a: Sequence[float], b: Sequence[float]) -> Estimate | None:
    """By how much the mean of ``a`` is above that of ``b``, by Welch (Biometrika 34, 1947).

    Args:
        a: independent finite scores.
        b: the same of another configuration; the spreads may differ.
    """
    if len(a) < 2 or len(b) < 2:
        return None
    of_a, of_b = variance(a) / len(a), variance(b) / len(b)
    both = of_a + of_b
    se = math.sqrt(both)
    if both == 0.0:
        half = 0.0
    else:
        share = of_a / both  # Satterthwaite's degrees of freedom, without squares that underflow
        degrees = 1.0 / (share**2 / (len(a) - 1) + (1.0 - share) ** 2 / (len(b) - 1))
        half = student(degrees) * se
    return Estimate(len(a) + len(b), fmean(a) - fmean(b), se, half)


@functools.lru_cache(maxsize=1024)
def student(degrees: float, level: float = LEVEL) -> float:
    """The quantile of Student's t that leaves ``level`` between it and its negative."""
    return float(stdtrit(degrees, 0.5 + level / 2))
