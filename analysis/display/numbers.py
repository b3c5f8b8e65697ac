"""How numbers are written for people: with the digits that tell them apart, and never as 0."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

DIGITS = 5  # significant ones of a value of a metric; more where trials would look the same
SHORT = 4  # of anything else
MOST_DIGITS = 12  # what differs only beyond these differs by rounding


def number(value: float, digits: int = DIGITS) -> str:
    """``0.97222``, ``4e-06``: a number to so many significant digits."""
    return f"{value + 0.0:.{digits}g}"  # 0 has no sign


def numbers(values: Sequence[float]) -> list[str]:
    """Values of one metric, with as many digits as tell the different ones apart.

    Zeros at the end are kept, so that the numbers of a column are equally long.
    """
    digits = digits_apart(values)
    return [_padded(value, digits) for value in values]


def digits_apart(values: Iterable[float], fewest: int = DIGITS) -> int:
    """How many significant digits show different values as different numbers.

    Args:
        values: those that are not finite are passed over.
        fewest: so many at least.
    """
    different = {float(number(v, MOST_DIGITS)) for v in values if math.isfinite(v)}
    return next(
        (
            digits
            for digits in range(fewest, MOST_DIGITS)
            if len({number(value, digits) for value in different}) == len(different)
        ),
        MOST_DIGITS,
    )


def spread(mean: float, sd: float | None, digits: int = DIGITS) -> str:
    """``0.7371 ± 0.0120``: a mean to so many digits, its deviation to as many places."""
    text = _padded(mean, digits)
    if sd is None:
        return text
    is_plain = "e" not in text and mean != 0.0
    return f"{text} ± {fixed(sd, len(text.partition('.')[2])) if is_plain else number(sd, 3)}"


def fixed(value: float, places: int) -> str:
    """A number to so many decimal places; where these would make it 0, two significant digits."""
    text = f"{value:.{places}f}"
    if float(text) != 0.0:
        return text
    return text.removeprefix("-") if value == 0.0 else number(value, 2)


def percent(share: float, places: int = 0) -> str:
    """``12%``: a share of 0 to 1; only nothing is 0 %, and only all is 100 %."""
    least = 10.0**-places
    if 0.0 < share <= least / 200:  # a half rounds to even, which is 0
        return f"<{least:g}%"
    if 1.0 - least / 200 <= share < 1.0:
        return f">{100 - least:g}%"
    return f"{share:.{places}%}"


def fraction(value: float) -> str:
    """A figure between -1 and 1, such as a correlation or an importance, to two places."""
    return f"{value:.2f}".replace("-0.00", "0.00")


def power(value: float) -> str:
    """``4e-06``: its order of magnitude, for what spans many of them."""
    return f"{value:.0e}"


def duration(seconds: float) -> str:
    """A time for people: ``41 s``, ``12 min 5 s``, ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _padded(value: float, digits: int) -> str:
    """A number to so many significant digits, zeros at the end, too."""
    text = number(value, digits)
    if value == 0.0 or not math.isfinite(value) or "e" in text:
        return text
    return f"{value:#.{digits}g}".removesuffix(".")
