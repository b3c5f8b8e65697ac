"""An interruption waits while the process is switched between two worlds, and comes after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

_Held = TypeVar("_Held")


class _Gate:
    """Of the main thread, where signals are handled."""

    is_closed = False
    has_come = False  # an interruption, while it was closed


_GATE = _Gate()


def interrupt() -> None:
    """Raise KeyboardInterrupt; during a switch, when that is done. For a signal's handler.

    A second one does not wait, so that a switch that hangs can be left.
    """
    if _GATE.is_closed and not _GATE.has_come:
        _GATE.has_come = True
    else:
        _GATE.has_come = False
        raise KeyboardInterrupt


class Switched(Generic[_Held]):
    """A stretch between two switches, of which ``interrupt`` cuts neither in two.

    Args:
        enter: the first switch.
        leave: the second; is given what the first returned.
    """

    def __init__(self, enter: Callable[[], _Held], leave: Callable[[_Held], None]) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> None:
        self._before = _close()
        try:
            self._held = self._enter()
        except BaseException:
            _put_back(self._before)
            raise
        try:
            _put_back(self._before)
        except BaseException:  # what has come meanwhile
            self.__exit__()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            _close()
        finally:  # also where an interruption comes just before the gate is closed
            try:
                self._leave(self._held)
            finally:
                _put_back(self._before)


def _close() -> bool:
    """Close the gate; returns whether it was closed before, as where one switch is within one."""
    before = _GATE.is_closed
    if threading.current_thread() is threading.main_thread():
        _GATE.is_closed = True
    return before


def _put_back(before: bool) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    _GATE.is_closed = before
    if _GATE.has_come and not before:
        _GATE.has_come = False
        raise KeyboardInterrupt
