"""The metrics of an epoch, as the user's own code gives them: checked, and as plain floats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from spaces.problems import shown, unknown_name

_RULE = 'each epoch must report a mapping of metric names to numbers, such as {"val_loss": loss}'


def absent_metric(name: str, epoch: int, metrics: Iterable[str]) -> str:
    """What is wrong with a report that has not the metric of the search.

    Args:
        name: the metric's.
        epoch: the report's.
        metrics: that it has.
    """
    if epoch == 1:
        rule = "each epoch must report the metric of the search"
        first = next(iter(metrics), "val_loss")
        rule += f", which is val_accuracy if none is named; name one, such as metric: {first}"
        return f"metric.name: {unknown_name('metric', name, metrics)}; {rule}"
    return (
        f"{name}, the metric of the search, is absent at epoch {epoch}, but was there before; "
        f"each epoch must report it, for any of them may decide. It reported {', '.join(metrics)}"
    )


def checked_metrics(metrics: Any) -> dict[str, float]:
    """The metrics by name.

    Raises:
        TypeError: when they are no mapping, or one of them is no number.
    """
    if not isinstance(metrics, Mapping):
        raise TypeError(f"{_RULE}, got {shown(metrics)}")
    return {_written(name): _number(name, value) for name, value in metrics.items()}


def _written(name: Any) -> str:
    return str(name).encode(errors="backslashreplace").decode()


def _number(name: Any, value: Any) -> float:
    """One number as a float: Python's, NumPy's, or that of an array or tensor of one element."""
    plain = value
    if not isinstance(value, Real) and hasattr(value, "item"):
        try:
            plain = value.item()
        except (TypeError, ValueError, RuntimeError):  # it has more than one element
            plain = None
    if not isinstance(plain, Real):
        raise TypeError(f"{_RULE}, got {name}: {shown(value)}")
    try:
        return float(plain)
    except OverflowError:
        return math.inf
