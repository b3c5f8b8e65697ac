"""How scores are written for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How scores are written: accuracies from 0 to 1 in per cent, others to four digits."""

    is_share: bool

    @property
    def unit(self) -> str:
        """What differences are counted in."""
        return " points" if self.is_share else ""

    def score(self, value: float, unit: str = " %") -> str:
        """A score as people read it."""
        return f"{100 * value:.2f}{unit}" if self.is_share else f"{value:.4g}"

    def span(self, low: float, high: float) -> str:
        """An interval of scores; its unit stands at its end."""
        return f"{self.score(low, unit='')} to {self.score(high)}"

    def width(self, value: float) -> str:
        """A width or a difference of scores; a share's in points."""
        return f"{100 * value:.2f}" if self.is_share else f"{value:.3g}"


def scale_of(metric: str, scores: Iterable[float]) -> Scale:
    """An accuracy from 0 to 1 throughout is a share; the user's own may be in per cent."""
    return Scale(metric.endswith("accuracy") and all(0.0 <= score <= 1.0 for score in scores))
