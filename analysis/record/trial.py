"""One trial, and what a journal says of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from analysis.record.events import Decision, State
from spaces.metric import Metric
from spaces.parameters import Params, Scalar


class Reported(NamedTuple):
    """What is kept of a report; its ``steps`` and the rest of the event would fill the memory."""

    epoch: int
    metrics: dict[str, float]
    decision: Decision
    ended_before: int  # trials that had ended, or waited for the first time, when it came


@dataclass(slots=True)
class Trial:
    """One configuration and all that the journal says of it.

    ``settings``: what a space that is a function returned beside the ``params`` that it drew.
    ``attempts``: how often its process died and was started again; ``wants_gpu_memory``: once
    because its GPU had no memory left. ``seconds``: how long it ran,
    without the pauses between sessions; ``seconds_before``: how long the search had gone on then.
    ``is_waiting``: it was paused, and is not promoted yet; its state is running.
    ``trained_after``: (first epoch, so many changes had been noted), where there was any.
    """

    number: int
    params: Params
    seed: int
    state: State = "running"
    reports: list[Reported] = field(default_factory=list)
    reason: str | None = None
    started: float = 0.0
    ended: float | None = None
    attempts: int = 0
    wants_gpu_memory: bool = False
    is_waiting: bool = False
    seconds: float | None = None
    seconds_before: float = 0.0
    trained_after: list[tuple[int, int]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def configuration(self) -> Params:
        """For people: the parameters, then the settings, lists and mappings as JSON texts."""
        settings = self.settings.items()
        return {**self.params, **{name: _as_scalar(held) for name, held in settings}}

    @property
    def has_waited(self) -> bool:
        """Whether it was ever paused."""
        return any(report.decision == "pause" for report in self.reports)

    def has_settled_since(self, report: Reported) -> bool:
        """Whether it ended, or waited for the first time, at a report of its own or later."""
        pauses = (held.epoch for held in self.reports if held.decision == "pause")
        first = next(pauses, None)
        return self.ended is not None if first is None else first >= report.epoch

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self.reports[-1].epoch if self.reports else 0

    def changes_before(self, epoch: int) -> int:
        """How many changes had been noted when it reported an epoch."""
        return max((count for first, count in self.trained_after if first <= epoch), default=0)

    def scored(self, metric: Metric) -> Reported | None:
        """The report whose value counts: the last, or with ``scope: best`` the best one."""
        return metric.counting(self.reports)

    def value(self, metric: Metric) -> float | None:
        """The trial's value, None where it has no finite one."""
        value = metric.of(self.scored(metric))
        return value if math.isfinite(value) and self.state not in ("diverged", "failed") else None


def _as_scalar(setting: Any) -> Scalar:
    return json.dumps(setting) if isinstance(setting, dict | list) else setting
