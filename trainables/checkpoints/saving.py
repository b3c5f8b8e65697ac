"""When a trial's checkpoints are written: in the background, while the next epoch trains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

import torch

from trainables.checkpoints.checkpoints import Checkpoints


@dataclass(frozen=True)
class SavePlan:
    """After which epochs a checkpoint is written.

    ``every_epochs``, ``every_seconds``: since the last one, whichever comes first. ``ends``: epochs
    at which the trial may be stopped or paused, or is completed: another process may go on from
    there, so a report of one of these waits until its checkpoint is written.
    """

    every_epochs: int | None = 1
    every_seconds: float | None = None
    ends: frozenset[int] = frozenset()


class Saving:
    """The checkpoints of one trial, as it trains.

    At most one is written at a time. Of the epochs that end meanwhile, the newest waits in memory
    until that one is written.

    Args:
        checkpoints: where they are written.
        plan: after which epochs.
        epoch: from which the trial goes on.
        clock: in seconds, only goes forward.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        plan: SavePlan,
        epoch: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoints = checkpoints
        self._plan = plan
        self._clock = clock
        self._saved_at = clock()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._waiting: tuple[int, dict[str, Any]] | None = None
        self._error: BaseException | None = None
        self._written = False
        self.epoch = epoch

    def is_due(self, epoch: int) -> bool:
        """Whether the state after an epoch is to be saved now."""
        if epoch in self._plan.ends:
            return True
        epochs, seconds = self._plan.every_epochs, self._plan.every_seconds
        return (epochs is not None and epoch - self.epoch >= epochs) or (
            seconds is not None and self._clock() - self._saved_at >= seconds
        )

    def save(self, epoch: int, state: dict[str, Any], is_live: bool, must_wait: bool) -> None:
        """Save the state after an epoch.

        Args:
            epoch: the trial's.
            state: tensors and plain values.
            is_live: whether the training goes on to change its tensors.
            must_wait: return when it is written, also where the plan does not say so.

        Raises:
            StorageError: when this one, or the one before, can't be written.
            ValueError: when the state is too large, or reading would refuse it.
        """
        if must_wait or epoch in self._plan.ends:
            with self._lock:
                self._waiting = None  # this one is newer
            self.finish()
            self._checkpoints.save(epoch, state)
            self._written = True
        else:
            self.check()
            held = copied(state) if is_live else state
            with self._lock:
                self._waiting = (epoch, held)
                if self._thread is None:
                    self._thread = Thread(target=self._write, name="checkpoint")
                    self._thread.start()
        self.epoch, self._saved_at = epoch, self._clock()

    def _write(self) -> None:
        """Write the state that waits, until none does or one can't be written."""
        while True:
            with self._lock:
                if self._waiting is None or self._error is not None:
                    self._waiting = self._thread = None
                    return
                (epoch, state), self._waiting = self._waiting, None
            try:
                self._checkpoints.save(epoch, state)
                self._written = True
            except BaseException as error:
                self._error = error

    def finish(self) -> None:
        """Wait until nothing is being written.

        Raises:
            StorageError: when the last one could not be written.
            ValueError: when the state was too large, or reading would refuse it.
        """
        thread = self._thread
        if thread is not None:
            thread.join()
        self.check()

    def check(self) -> None:
        """Raise what the writing in the background came to, if it failed."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def take_written(self) -> bool:
        """Whether a checkpoint was written since this was asked last."""
        written, self._written = self._written, False
        return written


def copied(state: Any) -> Any:
    """The state with copies of its tensors, in host memory."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: copied(held) for key, held in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(held) for held in state)
    return state
