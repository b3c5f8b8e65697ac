"""Ctrl-C and its like, for the command line: stop gracefully, or leave the process."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from search.control.controller import Controller
from search.transport.interface import Transport
from search.transport.processes import watched
from spaces.interruptions import interrupt
from spaces.problems import printable

STOP_SECONDS = 8.0  # how long stopping in good order may take
SAME_SECONDS = 0.25  # a closed terminal and batch systems send a signal twice; people are slower
_CHILD_SECONDS = 0.1  # within which a child that is told to end has ended


@contextmanager
def interruptible(controller: Controller, transport: Transport, again: str) -> Iterator[None]:
    """Ctrl-C, SIGTERM or SIGHUP once: stop in good order, within seconds. Twice: at once.

    When a process of Ray's dies without which nothing can go on, the process ends with a line; at
    once where a signal ended them all: Ray would soon end this one, without a word and with code 1.

    Args:
        controller: is told to stop.
        transport: whose processes are watched.
        again: the command that goes on.
    """
    interrupted = f"interrupted; go on with: {again}"
    deadline = threading.Timer(STOP_SECONDS, _leave, [1, interrupted, 130])
    deadline.daemon = True
    first = math.inf  # when the first signal came

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if controller.is_interrupted:
            if time.monotonic() - first >= SAME_SECONDS:
                _leave(1, interrupted, 130)
            return
        first = time.monotonic()
        controller.is_interrupted = True
        deadline.start()
        transport.interrupt()
        if number == signal.SIGTERM and _were_children_terminated():
            _leave(1, interrupted, 130)

    def ray_died(name: str) -> None:
        if controller.is_interrupted:  # a batch system ends all processes at once
            _leave(1, interrupted, 130)
        _leave(2, f"error: Ray's {name} process died, nothing is lost; go on with: {again}", 1)

    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it, and so it stays
        kinds.append(signal.SIGHUP)
    previous: dict[signal.Signals, Any] = {kind: signal.signal(kind, handle) for kind in kinds}
    try:
        with watched(transport.processes(), ray_died):
            yield
    finally:
        deadline.cancel()
        for kind, handler in previous.items():
            signal.signal(kind, handler)


@contextmanager
def stoppable(controller: Controller, transport: Transport, again: str) -> Iterator[None]:
    """Ctrl-C, or a notebook's stop button, once: stop in good order. Twice: KeyboardInterrupt.

    For a session inside of somebody's program: the process goes on. In a thread nothing is changed.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if controller.is_interrupted:
            interrupt()
            return
        controller.is_interrupted = True
        transport.interrupt()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _were_children_terminated() -> bool:
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
