"""The processes of Ray that a driver needs, watched: when they die, Ray ends it without a word.

Ray ends the driver 60 s after its head process died, and 15 s after the driver's own node did, from
a thread of its own and without a word that would help. So their ports are tried every second.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ray

_TRY_SECONDS = 1.0
_NODE_SECONDS = 3.0  # a node whose port is refused for so long is dead: none comes back
_HEAD_SECONDS = 15.0  # a head may be started again by what looks after it
_AWAY_SECONDS = 40.0  # and one elsewhere have a slow network; Ray itself waits 60 s


@dataclass
class Place:
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
def watched(places: Sequence[Place], on_death: Callable[[str], None]) -> Iterator[None]:
    """Call ``on_death``, once and from another thread, with the name of the first that is dead."""
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


def places_of_ray() -> list[Place]:
    """The head process of the cluster and the driver's own node; none where Ray does not run."""
    if not ray.is_initialized():
        return []
    context = ray.get_runtime_context()
    nodes = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    places = [
        Place("node", node["NodeManagerAddress"], node["NodeManagerPort"], _NODE_SECONDS, True)
        for node in nodes
    ]
    host, _, port = context.gcs_address.rpartition(":")
    is_here = any(host == node["NodeManagerAddress"] for node in nodes)
    seconds = _HEAD_SECONDS if is_here else _AWAY_SECONDS
    return [Place("head", host.strip("[]"), int(port), seconds, is_here), *places]
