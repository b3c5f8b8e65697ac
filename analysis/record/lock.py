"""One search per run folder: its journal is locked by the process that writes it.

The filelock package is no way to do so: versions up to 4.0 empty the file that they lock.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from analysis.record.folder import RunFolder
from spaces.links import unlinked
from spaces.problems import InputError

_HOLDER = "lock"  # says who holds the journal; it locks nothing itself
_TRIES = 5
_PAUSE_SECONDS = 0.1


class RunLock:
    """Holds a run's journal for this process; the operating system frees it when the process ends.

    Args:
        folder: the run.
        is_new: whether the run begins now, so that its journal may be made.

    Raises:
        InputError: when another process holds it, naming its pid and host; there is no journal; or
            a file or folder of the run is a link.
    """

    def __init__(self, folder: Path, is_new: bool = False) -> None:
        for place in (folder / _HOLDER, *RunFolder(folder).written_places()):
            unlinked(place, folder)
        self._file = _open_journal(folder, is_new)
        try:
            is_held = _take(self._file, RunFolder(folder).journal_file)
        except OSError as error:
            self._file.close()
            reason = f"{folder} is on a filesystem without locks ({error.strerror})"
            raise InputError(f"{reason}; put the run on another one", "--run") from None
        if not is_held:
            self._file.close()
            raise InputError(f"{folder} is being searched by {_holder(folder)}")
        _note_holder(folder)

    def release(self) -> None:
        """Let the folder go."""
        self._file.close()


def _open_journal(folder: Path, is_new: bool) -> IO[bytes]:
    file = RunFolder(folder).journal_file
    if not is_new and not file.is_file():
        raise InputError(f"{folder} is no run folder: it has no {file.name}")
    return file.open("ab")


def _take(file: IO[bytes], path: Path) -> bool:
    """Lock a file; tries for a moment, for ``is_locked`` holds it as long as it looks.

    A file that lost its name meanwhile locks nobody out, and does not count.
    """
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


def _note_holder(folder: Path) -> None:
    """Say in a file who holds the run; never through a link, which could lead anywhere."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with suppress(OSError):
        descriptor = os.open(folder / _HOLDER, flags, 0o644)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(f"pid {os.getpid()} on {platform.node()}\n")


def _holder(folder: Path) -> str:
    try:
        with (folder / _HOLDER).open(encoding="utf-8", errors="replace") as file:
            return file.read(200).strip() or "another process"
    except OSError:
        return "another process"


def is_locked(folder: Path) -> bool:
    """Whether a process holds the run's journal now."""
    try:
        with RunFolder(folder).journal_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(folder: Path, is_new: bool = False) -> Iterator[None]:
    """Hold a run's folder meanwhile.

    Raises:
        InputError: when another process holds it, or it is no run folder.
    """
    lock = RunLock(folder, is_new)
    try:
        yield
    finally:
        lock.release()
