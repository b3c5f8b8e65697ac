"""Where a controller writes: the journal of a run, or in a plan what stands in for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from analysis.record.events import Event
from analysis.record.journal import EventType


class EventLog(Protocol):
    """What a controller needs of a journal."""

    path: Path
    check: Callable[[Event], None] | None

    def now(self) -> float:
        """Seconds since 1970, as events are stamped."""

    def append(self, event: EventType) -> EventType:
        """Write an event, stamped with the time; returns it as a reader gets it."""
