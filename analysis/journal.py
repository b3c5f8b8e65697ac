"""The journal: an append-only file of events, the only truth of a run."""

from __future__ import annotations

import errno
import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from analysis.events import EVENT, BaseEvent, Event
from spaces.links import unlinked
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
        self.path = unlinked(path, path.parent)
        _cut_torn_line(path)
        self._file = path.open("ab", buffering=0)
        self._error: OSError | None = None
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_in_groups, daemon=True)
        self._syncer.start()

    def append(self, event: EventType) -> EventType:
        """Write an event, stamped with the time; returns it as it was written.

        Raises:
            OSError: when the disk is full or fails; the file then ends with the event before, and
                takes no other: what was decided since is not in it.
        """
        if self._error is not None:
            raise self._error
        stamped = event.model_copy(update={"time": time.time()})
        try:
            self._write_whole(stamped.model_dump_json().encode() + b"\n")
        except OSError as error:
            self._error = OSError(error.errno, error.strerror, str(self.path))
            raise self._error from None
        self._dirty.set()
        return stamped

    def _write_whole(self, line: bytes) -> None:
        written = self._file.write(line) or 0
        if written < len(line):
            os.truncate(self.path, self._file.seek(0, os.SEEK_END) - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        try:
            os.fsync(self._file.fileno())
            if self._error is not None:
                raise self._error
        finally:
            self._file.close()

    def _sync_in_groups(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            try:
                os.fsync(self._file.fileno())
            except OSError as error:  # told by the next append
                self._error = error
            self._closing.wait(FSYNC_SECONDS)


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    whole = 0
    with path.open("rb") as file:
        for line in file:
            whole += len(line) if line.endswith(b"\n") else 0
    if whole < path.stat().st_size:
        warnings.warn(f"{path}: the last line is torn and cut off", stacklevel=2)
        os.truncate(path, whole)


def each_event(path: Path) -> Iterator[Event]:
    """The events of a journal, in their order.

    A last line without its end was being written when the process died: it is left out, with a
    warning.

    Raises:
        InputError: when the file can't be read, or a line in its midst is no event (named by its
            number).
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}: the last line is torn and left out", stacklevel=2)
                    return
                yield _parse(line, number, path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None


def _parse(line: bytes, number: int, path: Path) -> Event:
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        rule = first["msg"].removesuffix(" at line 1 column 1")
        message = f"line {number} is no event: {where} {rule}".replace("  ", " ")
        mend = f"what stands before it can be resumed: keep a copy, then head -n {number - 1}"
        raise InputError(f"{message}; {mend}", source=str(path)) from None


def read_journal(path: Path) -> list[Event]:
    """All events of a journal, as a list."""
    return list(each_event(path))


def replay(path: Path, *takers: Callable[[Event], None]) -> None:
    """Give every event of a journal, in order, to each taker.

    Raises:
        InputError: when a line is no event, or a taker refuses one; it names the line.
    """
    with _no_collections():
        for number, event in enumerate(each_event(path), start=1):
            try:
                for take in takers:
                    take(event)
            except InputError as error:
                raise InputError(f"line {number} does not fit: {error}", str(path)) from None


@contextmanager
def _no_collections() -> Iterator[None]:
    """Events hold no cycles; looking for them again and again would double the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
