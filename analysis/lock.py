"""One search per run folder: a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from spaces.problems import InputError

_NAME = "lock"


class RunLock:
    """Holds a run's folder for this process; the operating system frees it when the process ends.

    Args:
        folder: the run.

    Raises:
        InputError: when another process holds it, naming its pid and host.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] = (folder / _NAME).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise InputError(f"{folder} is being searched by {holder}") from None
        self._file.truncate(0)
        self._file.write(f"pid {os.getpid()} on {platform.node()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let the folder go."""
        self._file.close()


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
