"""An interruption waits while the process is switched between two worlds, and comes after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_Held = TypeVar("_Held")


class _Gate:
    """Of the main thread, where signals are handled."""

    is_closed = False
    has_come = False  # an interruption, while it was closed


_GATE = _Gate()


def interrupt() -> None:
    """Raise KeyboardInterrupt; during a switch, when that is done. For a signal's handler."""
    if _GATE.is_closed:
        _GATE.has_come = True
    else:
        raise KeyboardInterrupt


@contextmanager
def switched(enter: Callable[[], _Held], leave: Callable[[_Held], None]) -> Iterator[None]:
    """A stretch between two switches, of which ``interrupt`` cuts neither in two.

    Args:
        enter: the first switch.
        leave: the second; is given what the first returned.
    """
    _close()
    try:
        held = enter()
        try:
            try:
                _open()
                yield
            finally:
                _close()
        finally:  # also where an interruption came just before the gate was closed
            leave(held)
    finally:
        _open()


def _close() -> None:
    if threading.current_thread() is threading.main_thread():
        _GATE.is_closed = True


def _open() -> None:
    if threading.current_thread() is threading.main_thread():
        _GATE.is_closed = False
        if _GATE.has_come:
            _GATE.has_come = False
            raise KeyboardInterrupt
