"""The trials that Tune has been given, and whether there is room for one more."""

from __future__ import annotations

from search.control.controller import Controller
from search.transport.on_ray.slots import Slots


class Placed:
    """The trials that Tune has been given and that have not ended.

    Where trials share a GPU, one whose GPU had no memory left gets one for itself.

    Args:
        slots: how many fit.
        controller: knows what happened to each.
    """

    def __init__(self, slots: Slots, controller: Controller) -> None:
        self._slots = slots
        self._controller = controller
        self._numbers: dict[str, int] = {}  # ours, by Tune's trial id
        self._waiting_alone: set[str] = set()  # for a GPU of their own

    def __len__(self) -> int:
        return len(self._numbers)

    def is_alone(self, number: int) -> bool:
        """Whether a trial has its GPU for itself, where others share theirs."""
        trial = self._controller.trials.by_number[number]
        return self._slots.trials_per_gpu > 1 and trial.wants_gpu_memory

    @property
    def has_room(self) -> bool:
        """Whether one more trial can begin.

        None does while one waits for a GPU of its own: else none would ever be free of others.
        """
        if self._waiting_alone:
            return False
        whole = self._slots.trials_per_gpu
        taken = sum(whole if self.is_alone(number) else 1 for number in self._numbers.values())
        return taken < max(1, self._slots.count())  # one waits where none fits yet

    def wait(self, tune_id: str, number: int) -> None:
        """A trial waits for its process, the first one or another."""
        self._numbers[tune_id] = number
        if self.is_alone(number):
            self._waiting_alone.add(tune_id)

    def start(self, tune_id: str) -> None:
        """It has its process."""
        self._waiting_alone.discard(tune_id)

    def end(self, tune_id: str) -> int | None:
        """It has ended; returns its number, None where it was never placed."""
        self._waiting_alone.discard(tune_id)
        return self._numbers.pop(tune_id, None)
