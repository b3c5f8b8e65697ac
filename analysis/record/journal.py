"""The journal: an append-only file of events, the only truth of a run."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from analysis.record.chain import Chain, broken_text, split
from analysis.record.events import EVENT, BaseEvent, Event, Rerun
from spaces.links import unlinked
from spaces.problems import InputError, RunError

FSYNC_SECONDS = 0.1

EventType = TypeVar("EventType", bound=BaseEvent)


class DamagedError(InputError):
    """A line in the midst of a journal can't be read; says the way out.

    Args:
        path: the journal.
        line: its number, from 1.
        problem: what is wrong with it.
    """

    def __init__(self, path: Path, line: int, problem: str) -> None:
        self.line = line
        self.problem = f"line {line} {problem}"
        mend = f"to keep the {line - 1} before it: shoal repair {path.parent}"
        super().__init__(f"{self.problem}; {mend if line > 1 else 'it is the first'}", str(path))


class Journal:
    """Appends events to a file, so that none is lost when processes die.

    Every event is handed to the operating system before ``append`` returns. It reaches the disk at
    most 100 ms later, with all that came in the meantime; so a power failure can cost that much.
    No event is written that a reader of the file would refuse.

    Args:
        path: the file; a torn last line, left by a crash, is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = unlinked(path, path.parent)
        self.check: Callable[[Event], None] | None = None
        self._chain = _chain_of(path)
        self._file = path.open("a+b", buffering=0)
        self._opened = os.fstat(self._file.fileno())
        self._size = self._file.seek(0, os.SEEK_END)
        self._clock = time.time() - time.monotonic()
        self._error: OSError | RunError | None = None
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_in_groups, daemon=True)
        self._syncer.start()

    def now(self) -> float:
        """Seconds since 1970, as events are stamped: a clock that is set meanwhile does not count.

        So time spans within a session are true ones; between sessions the clocks may differ.
        """
        return self._clock + time.monotonic()

    @property
    def is_empty(self) -> bool:
        """Whether no event was written yet, by nobody; what became of the file does not count."""
        return self._size == 0

    def append(self, event: EventType) -> EventType:
        """Write an event, stamped with the time.

        ``check`` must be set: it refuses what does not fit the events before, as a reader would.

        Returns:
            The event as a reader of the file gets it.

        Raises:
            InputError: when a reader would refuse it; nothing is written then.
            OSError: when the disk is full or fails; the file then ends with the event before, and
                takes no other: what was decided since is not in it.
            RunError: when the file was removed, replaced or changed by somebody else.
        """
        assert self.check is not None, "nobody checks what is written"
        if self._error is not None:
            raise self._error
        try:
            body = _stamped(event, self.now()).model_dump_json().encode()
        except PydanticSerializationError as error:  # a text that is none in UTF-8
            raise InputError(f"can't be written: {error}") from None
        read = _parsed(body)
        self.check(read)
        try:
            self._check_file()
            self._write_whole(body)
        except OSError as error:
            self._error = OSError(error.errno, error.strerror, str(self.path))
            raise self._error from None
        except RunError as error:
            self._error = error
            raise
        self._dirty.set()
        return cast(EventType, read)

    def _check_file(self) -> None:
        """See that the file is still the one that was opened, as this process left it.

        Raises:
            RunError: when it is not.
        """
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            raise RunError(f"{self.path} was removed during the search{self._kept()}") from None
        if not os.path.samestat(there, self._opened):
            raise RunError(f"{self.path} was replaced during the search{self._kept()}")
        if there.st_size != self._size:
            change = "cut off" if there.st_size < self._size else "written by another process"
            raise RunError(f"{self.path} was {change} during the search, which ends here")

    def _kept(self) -> str:
        """Save the events of a file that has lost its name; says where they are.

        Where the whole folder is gone they are saved beside it.
        """
        folder = self.path.parent
        beside = folder.with_name(f"{folder.name}-{self.path.name}")
        for place in (self.path, beside):
            with suppress(OSError):
                self._file.seek(0)
                kept = save_copy(self._file, place, "kept")
                return f"; its events were saved as {kept}: move that to {self.path}"
        return ", which ends here"

    def _write_whole(self, body: bytes) -> None:
        """Write a whole line or nothing, also when the disk is full or Ctrl-C comes meanwhile."""
        size, link = self._size, self._chain.link
        try:
            line = self._chain.close(body)
            self._size += self._file.write(line) or 0
            if self._size < size + len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except BaseException:
            self._size, self._chain.link = size, link
            os.ftruncate(self._file.fileno(), size)
            raise

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


def save_copy(journal: IO[bytes], path: Path, word: str) -> Path:
    """Copy a journal to a name beside ``path`` that is free, such as ``journal-kept-1.jsonl``.

    Args:
        journal: the open file, which may have lost its name.
        path: where it stands, or stood; the copy is on the disk when this returns.
        word: why it is copied.
    """
    for number in itertools.count(1):
        place = path.with_name(f"{path.stem}-{word}-{number}{path.suffix}")
        with suppress(FileExistsError), place.open("xb") as copy:
            shutil.copyfileobj(journal, copy)
            copy.flush()
            os.fsync(copy.fileno())
            return place
    raise AssertionError("numbers do not end")


def _stamped(event: BaseEvent, now: float) -> BaseEvent:
    if isinstance(event, Rerun):
        what = event.what.model_copy(update={"time": now})
        return event.model_copy(update={"time": now, "what": what})
    return event.model_copy(update={"time": now})


def _chain_of(path: Path) -> Chain:
    """The chain up to the end of a journal, whose torn last line is cut off."""
    chain, whole, broken = Chain(), 0, 0
    if not path.exists():
        return chain
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                whole += len(line)
                body, link = split(line)
                chain.extend(body)
                broken = broken or (number if link not in (None, chain.link) else 0)
                chain.link = link or chain.link  # a broken chain is not mended by going on
    if broken:
        warnings.warn(f"{path}: {broken_text(broken)}", stacklevel=3)
    if whole < path.stat().st_size:
        warnings.warn(f"{path}: the last line is torn and cut off", stacklevel=3)
        os.truncate(path, whole)
    return chain


def each_event(path: Path) -> Iterator[Event]:
    """The events of a journal, in their order.

    A last line without its end was being written when the process died: it is left out, with a
    warning.

    Raises:
        InputError: when the file can't be read.
        DamagedError: when a line in its midst is no event.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    warnings.warn(f"{path}: the last line is torn and left out", stacklevel=2)
                    return
                try:
                    yield _parsed(line)
                except InputError as error:
                    raise DamagedError(path, number, f"is no event: {error}") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None


def _parsed(line: bytes) -> Event:
    try:
        return EVENT.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        rule = first["msg"].removesuffix(" at line 1 column 1")
        raise InputError(f"{where} {rule}".strip()) from None


def read_journal(path: Path) -> list[Event]:
    """All events of a journal, as a list."""
    return list(each_event(path))


def replay(path: Path, *takers: Callable[[Event], None]) -> int:
    """Give every event of a journal, in order, to each taker; returns how many there were.

    Raises:
        DamagedError: when a line is no event, or a taker refuses one.
    """
    number = 0
    with _no_collections():
        for number, event in enumerate(each_event(path), start=1):
            try:
                for take in takers:
                    take(event)
            except InputError as error:
                raise DamagedError(path, number, f"does not fit: {error}") from None
    return number


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
