"""How scores are written for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analysis.display.numbers import SHORT, digits_apart, fixed, number

_PLACES = 2  # of per cent
_MOST_PLACES = 10


@dataclass(frozen=True)
class Scale:
    """How scores are written: accuracies from 0 to 1 in per cent, others as they are.

    Args:
        is_share: whether they are accuracies from 0 to 1.
        places: decimal places of per cent.
        digits: significant digits of other scores.
    """

    is_share: bool
    places: int = _PLACES
    digits: int = SHORT

    @property
    def unit(self) -> str:
        """What differences are counted in."""
        return " points" if self.is_share else ""

    def score(self, value: float, unit: str = " %") -> str:
        """A score as people read it."""
        if self.is_share:
            return f"{fixed(100 * value, self.places)}{unit}"
        return number(value, self.digits)

    def span(self, low: float, high: float) -> str:
        """An interval of scores; its unit stands at its end."""
        return f"{self.score(low, unit='')} to {self.score(high)}"

    def width(self, value: float) -> str:
        """A width or a difference of scores; a share's in points."""
        return fixed(100 * value, _PLACES) if self.is_share else number(value, 3)


def scale_of(metric: str, scores: Iterable[float]) -> Scale:
    """How to write these scores, so that different ones look different.

    An accuracy from 0 to 1 throughout is a share; the user's own may be in per cent.
    """
    known = list(scores)
    is_share = metric.endswith("accuracy") and all(0.0 <= score <= 1.0 for score in known)
    return Scale(is_share, _places_apart(known), digits_apart(known, SHORT))


def _places_apart(scores: Iterable[float]) -> int:
    """How many decimal places of per cent show different shares as different."""
    different = {f"{100 * score:.{_MOST_PLACES}f}" for score in scores}
    return next(
        (
            places
            for places in range(_PLACES, _MOST_PLACES)
            if len({f"{float(text):.{places}f}" for text in different}) == len(different)
        ),
        _MOST_PLACES,
    )
