"""What stands around a session of work on a run: faults told, Ctrl-C heard, folders made."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from analysis.run import RunFolder
from search.trainings import Trainings
from spaces.problems import InputError, RunError, printable

STOP_SECONDS = 8.0  # how long stopping in good order may take


def has_begun(path: Path) -> bool:
    """Whether a folder holds a run; a journal without any event, left by a full disk, is none."""
    journal = RunFolder(path).journal_file
    return journal.exists() and journal.stat().st_size > 0


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder; should nothing come to stand in it, it is taken away again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} can't be made: {error.strerror}", source="--run") from None
    try:
        yield
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def faults_told(folder: RunFolder, again: str) -> Iterator[None]:
    """Tell in a line what the work can't go on without; ``again``: the command that goes on."""
    try:
        yield
    except (OSError, RunError) as error:
        what = str(error)
        if isinstance(error, OSError):
            what = f"{error.filename or folder.path} can't be written: {error.strerror or error}"
        if has_begun(folder.path):
            what += f"\nonce that is mended, go on with: {again}"
        raise RunError(what) from None


@contextmanager
def interruptible(trainings: Trainings, again: str) -> Iterator[None]:
    """Ctrl-C or SIGTERM once: stop in good order, within seconds. Twice: at once.

    Args:
        trainings: are told to stop.
        again: the command that goes on.
    """
    deadline = threading.Timer(STOP_SECONDS, _leave, [again])
    deadline.daemon = True

    def handle(number: int, frame: FrameType | None) -> None:
        if trainings.is_interrupted:
            _leave(again)
        trainings.is_interrupted = True
        deadline.start()

    kinds = (signal.SIGINT, signal.SIGTERM)
    previous: dict[signal.Signals, Any] = {kind: signal.signal(kind, handle) for kind in kinds}
    try:
        yield
    finally:
        deadline.cancel()
        for kind, handler in previous.items():
            signal.signal(kind, handler)


def _leave(again: str) -> None:
    """End the process where it is: the journal has every event, Ray's processes follow."""
    with suppress(OSError):  # nobody may be reading any more
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # the live view hides the cursor
        os.write(1, f"\ninterrupted; go on with: {printable(again)}\n".encode())
    os._exit(130)
