"""What several figures share: axes of levels, error bars, where an axis opens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.report.section import label
from spaces.metric import Metric

_GOLDEN = 0.618034  # multiples of it fill an interval evenly


def level_axis(name: str, labels: Sequence[str]) -> dict[str, Any]:
    """An axis whose levels stand side by side, at 0, 1, …; labels went through ``label``."""
    return {
        "title": {"text": label(name)},
        "tickvals": list(range(len(labels))),
        "ticktext": list(labels),
        "range": [-0.6, len(labels) - 0.4],
    }


def markers(
    name: str,
    points: Sequence[tuple[Any, Any, Any]],
    hover: str,
    marker: dict[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """A trace of points, each (x, y, what its hover text is of)."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _, _ in points],
        "y": [y for _, y, _ in points],
        "customdata": [data for _, _, data in points],
        "hovertemplate": f"{hover}<extra></extra>",
        "marker": marker,
        **more,
    }


def error_bars(
    bars: Sequence[tuple[float, float | None, float | None]], color: str, **more: Any
) -> dict[str, Any]:
    """Bars of (value, low, high); none where there is no interval."""
    return {
        "type": "data",
        "array": [None if high is None else high - value for value, _, high in bars],
        "arrayminus": [None if low is None else value - low for value, low, _ in bars],
        "color": color,
        "thickness": 1.5,
        **more,
    }


def aside(number: int) -> float:
    """From -0.5 to 0.5: by how much a trial stands aside, so that no other hides it."""
    return number * _GOLDEN % 1 - 0.5


class Opening(NamedTuple):
    """Where an axis opens: its layout, a place at its lower edge, how many values lie beyond."""

    layout: dict[str, Any]
    bottom: float
    beyond: int

    @property
    def note(self) -> str:
        """How a reader sees the rest."""
        values = "value lies" if self.beyond == 1 else "values lie"
        return f" {self.beyond:,} {values} beyond; a double click shows all." if self.beyond else ""


def opening(
    values: Sequence[float], metric: Metric, is_log: bool = False, shown: Sequence[float] = ()
) -> Opening:
    """Open an axis on the values that matter, so that a few very poor ones don't squeeze the good.

    It reaches from the best value to three times as far away as the median.

    Args:
        values: finite ones; above 0 where the axis is logarithmic.
        metric: says which of them are better.
        is_log: whether the axis is logarithmic.
        shown: values that must be on it, too.
    """
    layout = {"type": "log" if is_log else "linear"}
    if not values:
        return Opening(layout, 0.0, 0)
    sign = -metric.cost(1.0)  # -1 where smaller is better
    places, needed = (np.log10(each) if is_log else np.array(each) for each in (values, shown))
    good = sign * places
    best = float(good.max())
    worst = min([best - 3 * (best - float(np.median(good))), *(sign * needed).tolist()])
    beyond = int((good < worst).sum()) if worst < best else 0
    worst = worst if beyond else float(good.min())
    margin = 0.06 * ((best - worst) or abs(best) or 1.0)
    low, high = sorted((sign * (worst - margin), sign * (best + margin)))
    bottom = low + margin / 2
    if is_log:
        bottom = 10**bottom
    elif bottom <= 0.0 < min(values):  # so that it stands on a logarithmic axis, too
        bottom = min(values) / 1.5
    return Opening({**layout, "range": [low, high]} if beyond else layout, bottom, beyond)
