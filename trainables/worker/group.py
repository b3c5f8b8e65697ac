"""Trials that one process trains side by side, as one model where they can be. It knows no Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trainables.shoal.pool import ShoalError
from trainables.worker.messages import Assignment, Outcome
from trainables.worker.worker import Worker


class LaneGroup:
    """Trains several trials, an epoch of each at a time.

    Args:
        make_worker: makes what trains one of them; all must share a pool.
    """

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self._make_worker = make_worker
        self._running: dict[int, Worker] = {}

    def change(self, dropped: Iterable[int], taken: Iterable[Assignment]) -> None:
        """Let trials go, and take others in their places.

        Args:
            dropped: their numbers; those that are not here are passed over.
            taken: one that is here begins anew from its checkpoint.
        """
        for number in dropped:
            self._drop(number)
        for assignment in taken:
            self._drop(assignment.trial)
            worker = self._running[assignment.trial] = self._make_worker()
            worker.take(assignment)

    def step(self) -> list[tuple[int, Outcome]]:
        """Train an epoch of each; returns what each answers, with its number."""
        return [(number, self._step(number)) for number in [*self._running]]

    def _step(self, number: int) -> Outcome:
        """What would end a process for one trial leaves its neighbours alone."""
        try:
            return self._running[number].step()
        except Exception as error:
            self._drop(number)
            reason = f"{type(error).__name__}: {error}"
            return Outcome(None, lost=reason, shared=isinstance(error, ShoalError))

    def _drop(self, number: int) -> None:
        if (worker := self._running.pop(number, None)) is not None:
            worker.close()

    def close(self) -> None:
        """Let all go."""
        for number in [*self._running]:
            self._drop(number)
