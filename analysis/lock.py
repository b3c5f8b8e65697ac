"""One search per run folder: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from analysis.run import RunFolder
from spaces.links import unlinked
from spaces.problems import InputError

_NAME = "lock"
_TRIES = 5
_PAUSE_SECONDS = 0.1


class RunLock:
    """Holds a run's folder for this process; the operating system frees it when the process ends.

    Args:
        folder: the run.

    Raises:
        InputError: when another process holds it, naming its pid and host; or a file or folder of
            the run is a link.
    """

    def __init__(self, folder: Path) -> None:
        for place in (folder / _NAME, *RunFolder(folder).written_places()):
            unlinked(place, folder)
        self._file: IO[str] = (folder / _NAME).open("a+", encoding="utf-8")
        try:
            is_held = _take(self._file)
        except OSError as error:
            self._file.close()
            reason = f"{folder} is on a filesystem without locks ({error.strerror})"
            raise InputError(f"{reason}; put the run on another one", "--run") from None
        if not is_held:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise InputError(f"{folder} is being searched by {holder}")
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} on {platform.node()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the folder go."""
        self._file.close()


def _take(file: IO[str]) -> bool:
    """Lock a file; tries for a moment, for ``is_locked`` holds it as long as it looks."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return True
    return False


def is_locked(folder: Path) -> bool:
    """Whether a process holds the run's folder now."""
    try:
        with (folder / _NAME).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder meanwhile.

    Raises:
        InputError: when another process holds it.
    """
    lock = RunLock(folder)
    try:
        yield
    finally:
        lock.release()
