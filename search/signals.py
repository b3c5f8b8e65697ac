"""What stands around a session of work on a run: faults told, Ctrl-C heard, folders made."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from analysis.record.folder import RunFolder
from search.control.controller import Trainings
from search.transport.ray_processes import places_of_ray, watched
from spaces.problems import InputError, RunError, printable

STOP_SECONDS = 8.0  # how long stopping in good order may take
SAME_SECONDS = 0.25  # a closed terminal and batch systems send a signal twice; people are slower
_CHILD_SECONDS = 0.1  # within which a child that is told to end has ended


def has_begun(path: Path) -> bool:
    """Whether a folder holds a run; a journal without any event, left by a full disk, is none."""
    journal = RunFolder(path).journal_file
    return journal.exists() and journal.stat().st_size > 0


def taken(root: Path, name: str) -> Path:
    """Make a folder ``name`` below ``root`` that nobody else has; ``name-2`` where that is taken.

    Raises:
        InputError: when it can't be made.
    """
    for number in itertools.count(1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not root.is_dir():
                raise InputError(f"{root} is no folder", source="--run") from None
        except OSError as error:
            raise InputError(f"{folder} can't be made: {error.strerror}", source="--run") from None
        else:
            return folder
    raise AssertionError


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
        with suppress(OSError):  # it holds something, or somebody removed it
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
    """Ctrl-C, SIGTERM or SIGHUP once: stop in good order, within seconds. Twice: at once.

    When a process of Ray's dies without which nothing can go on, the process ends with a line; at
    once where a signal ended them all: Ray would soon end this one, without a word and with code 1.

    Args:
        trainings: are told to stop.
        again: the command that goes on.
    """
    interrupted = f"interrupted; go on with: {again}"
    deadline = threading.Timer(STOP_SECONDS, _leave, [1, interrupted, 130])
    deadline.daemon = True
    first = math.inf  # when the first signal came

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if trainings.is_interrupted:
            if time.monotonic() - first >= SAME_SECONDS:
                _leave(1, interrupted, 130)
            return
        first = time.monotonic()
        trainings.is_interrupted = True
        deadline.start()
        if number == signal.SIGTERM and _were_children_told():
            _leave(1, interrupted, 130)

    def lost(name: str) -> None:
        if trainings.is_interrupted:  # a batch system ends all processes at once
            _leave(1, interrupted, 130)
        _leave(2, f"error: Ray's {name} process died, nothing is lost; go on with: {again}", 1)

    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it, and so it stays
        kinds.append(signal.SIGHUP)
    previous: dict[signal.Signals, Any] = {kind: signal.signal(kind, handle) for kind in kinds}
    try:
        with watched(places_of_ray(), lost):
            yield
    finally:
        deadline.cancel()
        for kind, handler in previous.items():
            signal.signal(kind, handler)


def _were_children_told() -> bool:
    """Whether SIGTERM has ended a child of this process by now, as when it went to all processes.

    Of Ray's processes some hear it no less than this one does, and end without delay.
    """
    end = time.monotonic() + _CHILD_SECONDS
    look = os.WEXITED | os.WNOHANG | os.WNOWAIT  # Ray waits for them itself
    with suppress(ChildProcessError):
        while time.monotonic() < end:
            found = os.waitid(os.P_ALL, 0, look)
            if found is not None and found.si_status == signal.SIGTERM:
                return True
            time.sleep(0.002)
    return False


def _leave(stream: int, line: str, code: int) -> None:
    """End the process where it is: the journal has every event, Ray's processes follow."""
    with suppress(OSError):  # the terminal may be closed
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")  # the live view hides the cursor
        os.write(stream, f"\n{printable(line)}\n".encode())
    os._exit(code)
