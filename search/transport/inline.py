"""The inline transport: trainings run in this process, without Ray, in a given order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.environment import restored_environment
from search.transport.processes import ProcessAddress
from spaces.experiment import Experiment
from spaces.interruptions import interrupt
from spaces.problems import InputError, Problem
from trainables.data.splits import Data
from trainables.shoal.pool import ShoalError
from trainables.worker.messages import Assignment, Outcome
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.threads import threads_restored
from trainables.worker.worker import Worker


class Trainer(Protocol):
    """What trains one trial after the other: a worker, or what stands in for one in tests."""

    def take(self, assignment: Assignment) -> None:
        """Take the next trial."""

    def step(self) -> Outcome:
        """Train one epoch."""

    def close(self) -> None:
        """End the training."""


def unmet(experiment: Experiment) -> list[str]:
    """What an experiment asks for that only processes of their own can give."""
    asked = {
        "epoch_timeout_seconds": experiment.epoch_timeout_seconds is not None,
        "isolate": experiment.isolate,
        "resources.workers": experiment.resources.world_size > 1,
        "resources.gpus: pack": experiment.resources.gpus == "pack",
    }
    return [name for name, is_asked in asked.items() if is_asked]


def refuse_unmet(experiment: Experiment, rule: str) -> None:
    """Refuse what only processes of each trial's own can give.

    Raises:
        InputError: when the experiment asks for such things, with the rule for each.
    """
    if problems := [Problem(name, rule) for name in unmet(experiment)]:
        raise InputError(problems)


def first(running: Sequence[int]) -> int:
    """The order in which trials take turns."""
    return running[0]


class Inline:
    """Trains in this process: for a debugger, a notebook, small jobs, tests.

    Args:
        slots: how many trials are trained side by side, an epoch of one after an epoch of another.
        choose: which of the running trials trains its next epoch; given their numbers, that of the
            longest ago first.
        trainer: makes what trains; one for each slot. Left out: a worker in this process.
    """

    engine = "inline"

    def __init__(
        self,
        slots: int = 1,
        choose: Callable[[Sequence[int]], int] = first,
        trainer: Callable[[Data | None], Trainer] | None = None,
    ) -> None:
        self._slots = slots
        self._choose = choose
        self._make_trainer = trainer or self._worker
        self._is_training = False
        self._is_interrupted = False  # in this epoch

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """Nothing needs to be started; the threads of torch are as before in the end.

        Raises:
            InputError: when the experiment asks for what only processes of their own can give.
        """
        rule = f"needs processes beside this one, which engine: {self.engine} does not have"
        refuse_unmet(experiment, rule)
        with restored_environment(), threads_restored():
            yield

    def _worker(self, data: Data | None) -> Trainer:
        return Worker(data, Here(), Echo(), lambda: self._is_interrupted)

    def interrupt(self) -> None:
        """Leave the epoch that is being trained; its trial goes on from its last checkpoint."""
        if self._is_training:
            self._is_interrupted = True
            interrupt()

    def processes(self) -> Sequence[ProcessAddress]:
        """None but this one."""
        return ()

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        running: dict[int, Trainer] = {}
        idle: list[Trainer] = []
        try:
            with dispatcher.keeping_fault():
                while not dispatcher.is_stopping:
                    while len(running) < self._slots and (given := dispatcher.next()) is not None:
                        running[given.trial] = idle.pop() if idle else self._make_trainer(data)
                        running[given.trial].take(given)
                    if not running:
                        break
                    number = self._choose(tuple(running))
                    goes_on = self._step(dispatcher, number, running, data)
                    trainer = running.pop(number)
                    if goes_on:
                        running[number] = trainer  # behind all others: they take turns
                    else:
                        idle.append(trainer)
                    dispatcher.view.update()
        finally:
            for trainer in (*running.values(), *idle):
                trainer.close()

    def _step(
        self, dispatcher: Dispatcher, number: int, running: dict[int, Trainer], data: Data | None
    ) -> bool:
        """Train an epoch of a trial; returns whether it goes on.

        What would end a process of Ray's, such as want of memory, begins the trial anew here, too.
        """
        try:
            self._is_training, self._is_interrupted = True, False
            outcome = running[number].step()
        except KeyboardInterrupt:
            if not dispatcher.is_stopping:
                raise
            return True
        except Exception as error:
            self._is_training = False
            reason = f"{type(error).__name__}: {error}"
            shared = isinstance(error, ShoalError)
            if not shared and dispatcher.controller.attempts_left(number) <= 0:
                dispatcher.given_up(number, reason)
                return False
            running[number].close()
            running[number] = self._make_trainer(data)
            if (given := dispatcher.restarted(number, reason, shared)) is None:
                return False
            running[number].take(given)
            return True
        finally:
            self._is_training = False
        return dispatcher.take(number, outcome) == "continue"
