"""The journal: an append-only file of events, the only truth of a run."""

from __future__ import annotations

import errno
import os
import threading
import time
import warnings
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from analysis.events import EVENT, BaseEvent, Event
from spaces.problems import InputError

FSYNC_SECONDS = 0.1

EventType = TypeVar("EventType", bound=BaseEvent)


class Journal:
    """Appends events to a file, so that none is lost when processes die.

    Every event is handed to the operating system before ``append`` returns. It reaches the disk at
    most 100 ms later, with all that came in the meantime; so a power failure can cost that much.

    Args:
        path: the file; a torn last line, left by a crash, is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _cut_torn_line(path)
        self._file = path.open("ab", buffering=0)
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_in_groups, daemon=True)
        self._syncer.start()

    def append(self, event: EventType) -> EventType:
        """Write an event, stamped with the time; returns it as it was written.

        Raises:
            OSError: when the disk is full; the file then ends with the event before.
        """
        stamped = event.model_copy(update={"time": time.time()})
        line = stamped.model_dump_json().encode() + b"\n"
        written = self._file.write(line) or 0
        if written < len(line):
            os.truncate(self.path, self._file.seek(0, os.SEEK_END) - written)
            raise OSError(errno.ENOSPC, "the journal can't be written", str(self.path))
        self._dirty.set()
        return stamped

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        os.fsync(self._file.fileno())
        self._file.close()

    def _sync_in_groups(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            os.fsync(self._file.fileno())
            self._closing.wait(FSYNC_SECONDS)


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)


def read_journal(path: Path) -> list[Event]:
    """All events of a journal, in their order.

    A last line without its end was being written when the process died: it is left out, with a
    warning.

    Raises:
        InputError: when the file is missing, or a line in its midst is no event (named by its
            number).
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None
    if lines.pop():
        warnings.warn(f"{path}: the last line is torn and left out", stacklevel=2)
    events = []
    for number, line in enumerate(lines, start=1):
        try:
            events.append(EVENT.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"line {number} is no event: {where} {first['msg']}".replace("  ", " ")
            raise InputError(message, source=str(path)) from None
    return events
