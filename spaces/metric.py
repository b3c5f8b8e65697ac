"""``Metric``: which value of a trial counts, and which of two values is the better one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from spaces.directions import usual_mode
from spaces.sections import Section


class HasMetrics(Protocol):
    """The report of an epoch."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Values by name."""


ReportType = TypeVar("ReportType", bound=HasMetrics)


class Metric(Section):
    """What is compared: a metric of the epoch reports, at its last or at its best epoch.

    Left out, ``name`` is val_accuracy (val_loss for a regression), and ``mode`` what is usual for
    the name, such as min for a loss; for a name that is not known it must be given. With your own
    code it is one of the metrics it yields.
    """

    name: str = ""
    mode: Literal["min", "max"] | None = None
    scope: Literal["last", "best"] = "last"

    def complete(self, is_regression: bool) -> Metric:
        """The same metric with name and mode filled in; no mode where the name tells none."""
        name = self.name or ("val_loss" if is_regression else "val_accuracy")
        return Metric(name=name, mode=self.mode or usual_mode(name), scope=self.scope)

    @property
    def is_minimized(self) -> bool:
        """Whether smaller values are better."""
        return self.mode == "min"

    @property
    def better_values(self) -> str:
        """Which way is better, in words."""
        return "lower is better" if self.is_minimized else "higher is better"

    def of(self, report: HasMetrics | None) -> float:
        """The value of a report; NaN where there is none."""
        return math.nan if report is None else report.metrics.get(self.name, math.nan)

    def gain(self, value: float, other: float) -> float:
        """By how much a value is better than another one; negative where it is worse."""
        return other - value if self.is_minimized else value - other

    def better(self, value: float, other: float) -> bool:
        """Whether a value is strictly better than another one."""
        return value < other if self.is_minimized else value > other

    def cost(self, value: float) -> float:
        """The value as a number of which smaller is better; infinite where it is not finite."""
        if not math.isfinite(value):
            return math.inf
        return value if self.is_minimized else -value

    def best(self, values: Iterable[float]) -> float:
        """The best of some finite values."""
        return min(values, key=self.cost)

    def counting(self, reports: Sequence[ReportType]) -> ReportType | None:
        """The report whose value counts: the last, or with ``scope: best`` the first best one."""
        if self.scope == "last":
            return reports[-1] if reports else None
        finite = (report for report in reports if math.isfinite(self.of(report)))
        return min(finite, key=lambda report: self.cost(self.of(report)), default=None)
