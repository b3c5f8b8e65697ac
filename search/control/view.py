"""What shows a session to whoever started it: a terminal, a notebook, nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from analysis.record.folder import RunFolder
    from search.control.controller import Controller

Note: TypeAlias = Callable[[str], None]  # is given a line that should be read


def ignore_note(message: str) -> None:
    """Nobody reads it."""


class View(Protocol):
    """What a session says, and to whom."""

    def note(self, message: str) -> None:
        """A line that should be read."""

    def doing(self, what: str) -> AbstractContextManager[None]:
        """What takes a moment, such as starting Ray."""

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Trainings, as long as they go on."""

    def update(self) -> None:
        """Called several times a second while trainings are shown."""


class Logged:
    """Shows nothing but notes, by Python's logging, as ``shoal``: what a notebook gets."""

    def note(self, message: str) -> None:
        """Log it."""
        logging.getLogger("shoal").warning(message)

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Show nothing."""
        return nullcontext()

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Show nothing."""
        return nullcontext()

    def update(self) -> None:
        """Show nothing."""


class Silent(Logged):
    """Shows nothing, and keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep a line."""
        self.notes.append(message)
