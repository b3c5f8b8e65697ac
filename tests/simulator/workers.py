"""Workers in a simulated world: what they report follows from a trial alone, how they fare not."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.processes import ProcessAddress
from spaces.experiment import Experiment
from tests.simulator.world import ASK, World
from trainables.data.splits import Data
from trainables.reports import EpochReport
from trainables.worker.messages import Assignment, Outcome

NATURES = ("learns", "diverges", "explodes", "raises", "returns", "says it is the last", "forgets")


class Curve:
    """What a training reports: a function of its parameters, its seed and the epoch.

    Args:
        params: the trial's.
        seed: the trial's.
        habits: of the code: how likely each of the natures is, and how many digits it reports.
    """

    def __init__(self, params: Mapping[str, Any], seed: int, habits: Mapping[str, Any]) -> None:
        chance = random.Random(f"{sorted(params.items())} {seed}")
        self.nature = chance.choices(NATURES, habits["weights"])[0]
        self.turn = chance.randint(1, 4)  # the epoch at which its nature shows
        self._digits = habits["digits"]
        self._height = chance.uniform(-1.0, 1.0)
        self._noise = [chance.gauss(0.0, 0.1) for _ in range(30)]

    def metrics(self, epoch: int) -> dict[str, float]:
        """The metrics of an epoch."""
        score = self._height * (1.0 - 0.7**epoch) + self._noise[epoch]
        found = {"score": round(score, self._digits), "train_loss": 1.0 / epoch}
        if epoch >= self.turn:
            if self.nature == "diverges":
                found["score"] = math.nan
            elif self.nature == "explodes":
                found["train_loss"] = math.inf if self.turn == 1 else 1e6
            elif self.nature == "forgets":
                del found["score"]
        return found

    def outcome(self, epoch: int, saved: bool) -> Outcome:
        """What a worker answers after an epoch."""
        if self.nature == "raises" and epoch >= self.turn:
            trace = 'Traceback (most recent call last):\n  File "own.py", line'
            return Outcome(None, error=f"{trace} {self.turn}, in train\nValueError: no luck")
        if self.nature == "returns" and epoch > self.turn:
            return Outcome(None)
        is_last = self.nature == "says it is the last" and epoch == self.turn
        return Outcome(EpochReport(epoch, self.metrics(epoch), is_last=is_last), saved=saved)


class Trainer:
    """Trains one trial after the other in no time.

    Args:
        world: what happens to it.
        habits: of the code.
    """

    def __init__(self, world: World, habits: Mapping[str, Any]) -> None:
        self._world = world
        self._habits = habits

    def take(self, assignment: Assignment) -> None:
        """Take the next trial; from its last checkpoint, which may be behind the journal."""
        config = assignment.config
        self.number = assignment.trial
        self._curve = Curve(config["settings"], config["seed"], self._habits)
        back = self._world.chance.choice((0, 0, 1, 2))
        self._epoch = max(0, assignment.reported - back)

    def step(self) -> Outcome:
        """Train an epoch; the process may die of it."""
        chance = self._world.chance
        self._world.tick(chance.choice((0.0, 0.01, 0.2, chance.uniform(0.0, 60.0))))
        self._world.point("an epoch", ASK)
        if chance.random() < self._habits["death"]:
            raise MemoryError
        self._epoch += 1
        return self._curve.outcome(self._epoch, saved=chance.random() < 0.7)

    def close(self) -> None:
        """Nothing is open."""


class Cluster:
    """A transport whose workers die, hang, answer twice and late, and whose nodes leave.

    Args:
        world: what happens.
        habits: of the code, and of the workers.
    """

    def __init__(self, world: World, habits: Mapping[str, Any]) -> None:
        self._world = world
        self._habits = habits
        self._late: list[tuple[int, Outcome]] = []  # answers that are on their way still

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """Nothing needs to be started."""
        self._world.point("the start of the workers", ASK)
        yield

    def processes(self) -> Sequence[ProcessAddress]:
        """None."""
        return ()

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        self._running: dict[int, Trainer] = {}
        self._late.clear()
        with dispatcher.keeping_fault():
            while not dispatcher.is_stopping:
                self._fill(dispatcher)
                if not self._running:
                    break
                self._go_on(dispatcher)
                dispatcher.look_for_hung_trials(self._world.seconds)

    def _fill(self, dispatcher: Dispatcher) -> None:
        while len(self._running) < self._habits["slots"]:
            if (given := dispatcher.next()) is None:
                return
            if self._world.chance.random() < self._habits["trouble"] / 4:
                dispatcher.controller.hand_back(given.trial)  # its process died between two trials
                continue
            trainer = self._running[given.trial] = Trainer(self._world, self._habits)
            dispatcher.hung_trials.begin(given.trial)
            trainer.take(given)

    def _go_on(self, dispatcher: Dispatcher) -> None:
        chance = self._world.chance
        number = chance.choice(list(self._running))
        if chance.random() >= self._habits["trouble"]:
            self._step(dispatcher, number)
            return
        match chance.choice(("hangs", "a node leaves", "late", "old")):
            case "hangs":
                self._hang(dispatcher, number)
            case "a node leaves":
                there = list(self._running)
                for leaving in chance.sample(there, chance.randint(1, len(there))):
                    self._die(dispatcher, leaving, "its node has left")
            case "late":
                with suppress(MemoryError):
                    self._late.append((number, self._running[number].step()))
                self._die(dispatcher, number, "it could not be reached")
            case _ if self._late:
                self._take(dispatcher, *chance.choice(self._late))

    def _step(self, dispatcher: Dispatcher, number: int) -> None:
        try:
            outcome = self._running[number].step()
        except MemoryError:
            self._die(dispatcher, number, "out of memory")
            return
        dispatcher.heard(number, "pid 1 on a node")
        if self._world.chance.random() < self._habits["trouble"]:
            self._late.append((number, outcome))  # and comes a second time
        self._take(dispatcher, number, outcome)

    def _take(self, dispatcher: Dispatcher, number: int, outcome: Outcome) -> None:
        if dispatcher.take(number, outcome) == "stop" and number in self._running:
            del self._running[number]
            dispatcher.hung_trials.forget(number)

    def _hang(self, dispatcher: Dispatcher, number: int) -> None:
        """Nothing is heard for minutes, until somebody kills the process."""
        for _ in range(100):
            self._world.tick(1.0)
            dispatcher.look_for_hung_trials(self._world.seconds)
        self._die(dispatcher, number, "it was killed")

    def _die(self, dispatcher: Dispatcher, number: int, reason: str) -> None:
        if dispatcher.controller.attempts_left(number) <= 0:
            dispatcher.given_up(number, reason)
            del self._running[number]
        elif (given := dispatcher.restarted(number, reason)) is not None:
            self._running[number].take(given)
        else:
            del self._running[number]
