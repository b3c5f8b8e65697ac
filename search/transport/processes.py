"""Processes without which a driver can't go on, watched by their ports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_TRY_SECONDS = 1.0


@dataclass
class ProcessAddress:
    """Where a process listens, and for how many ``seconds`` it may be silent.

    ``is_here``: on this machine, where a port that is slow to answer is that of a living process.
    """

    name: str
    host: str
    port: int
    seconds: float
    is_here: bool
    silent_since: float | None = None

    def is_dead(self) -> bool:
        """Try it, and say whether it has been silent for too long."""
        try:
            socket.create_connection((self.host, self.port), timeout=5.0).close()
        except OSError as error:
            if not self.is_here or isinstance(error, ConnectionRefusedError):
                self.silent_since = self.silent_since or time.monotonic()
                return time.monotonic() - self.silent_since >= self.seconds
        self.silent_since = None
        return False


@contextmanager
def watched(places: Sequence[ProcessAddress], on_death: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_death``, once and from another thread, with the name of the first that is dead."""
    if not places:
        yield
        return
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_TRY_SECONDS):
            dead = next((place for place in places if place.is_dead()), None)
            if dead is not None and not is_over.is_set():
                on_death(dead.name)
                return

    thread = threading.Thread(target=watch, name="shoal-head", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
