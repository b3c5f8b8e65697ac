"""Simulated workers around the real coordinator: a clock of their own, and the driver's real cost.

An epoch takes simulated seconds. The driver takes one event after the other, as Shoal's does; each
holds it up for as long as it really computes. So a worker waits where the driver is busy.
"""

from __future__ import annotations

import heapq
import itertools
import math
import platform
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from analysis.record.events import Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.record.trials import Trial
from analysis.views.projection import open_projections
from search.control.coordinator import Coordinator
from spaces.experiment import Experiment

_STEP_RECORDS = 16  # of an epoch: those of MNIST's with batches of 64
_SPREAD = 0.1  # of the length of an epoch between trials: of its logarithm

Result = TypeVar("Result")


class Epochs:
    """The epochs that are being trained, by when they end."""

    def __init__(self) -> None:
        self.running: list[tuple[float, int, Trial]] = []
        self._ticket = itertools.count()

    def push(self, at: float, trial: Trial) -> None:
        heapq.heappush(self.running, (at, next(self._ticket), trial))

    def pop(self) -> tuple[float, Trial]:
        """The first that ends."""
        at, _, trial = heapq.heappop(self.running)
        return at, trial


@dataclass
class Farm:
    """Workers, each with a trial or free, and what the driver has spent on them.

    Args:
        coordinator: the real one.
        workers: how many train at a time.
        epoch_seconds: simulated, about.
    """

    coordinator: Coordinator
    workers: int
    epoch_seconds: float
    report_seconds: list[float] = field(default_factory=list)  # CPU time of each
    suggestion_seconds: list[float] = field(default_factory=list)
    busy_seconds: float = 0.0  # simulated, over all workers
    now: float = 0.0  # simulated: until when the driver has worked
    last_began: float = 0.0  # simulated: when no trial was left to begin

    def run(self, after_event: Callable[[], None] = lambda: None) -> None:
        """Train until no trial is left, neither to begin nor running.

        Args:
            after_event: is called after each report and each suggestion.
        """
        ends = Epochs()
        for _ in range(self.workers):
            self._begin(ends)
            after_event()
        while ends.running:
            at, trial = ends.pop()
            self.now = max(self.now, at)
            decision = self._timed(self.report_seconds, partial(self._report, trial))
            after_event()
            if decision == "continue":
                self._train(trial, ends)
            elif not self.coordinator.is_over:
                self._begin(ends)
                after_event()

    @property
    def efficiency(self) -> float:
        """Which share of their time the workers trained, while there were trials to begin."""
        return self.busy_seconds / (self.workers * self.last_began)

    def _begin(self, ends: Epochs) -> None:
        trial = self._timed(self.suggestion_seconds, self.coordinator.next_trial)
        if trial is None:
            return
        self._train(trial, ends)
        if self.coordinator.is_over and not self.last_began:
            self.last_began = self.now
            self.busy_seconds -= sum(at - self.now for at, _, _ in ends.running)

    def _train(self, trial: Trial, ends: Epochs) -> None:
        """Begin an epoch."""
        length = self.epoch_seconds * math.exp(random.Random(trial.seed).gauss(0.0, _SPREAD))
        ends.push(self.now + length, trial)
        if not self.last_began:
            self.busy_seconds += length

    def _timed(self, spent: list[float], call: Callable[[], Result]) -> Result:
        before = time.process_time()
        result = call()
        spent.append(time.process_time() - before)
        self.now += spent[-1]
        return result

    def _report(self, trial: Trial) -> str:
        epoch = trial.epoch + 1
        steps = [(epoch * 1000 + 50 * n, 1.0 / (epoch + n)) for n in range(_STEP_RECORDS)]
        return self.coordinator.report(trial.number, epoch, made_up(trial, epoch), steps)


def made_up(trial: Trial, epoch: int) -> dict[str, float]:
    """Metrics like those of a training: best near lr 3e-3, worse with dropout."""
    noise = random.Random(trial.seed * 1000 + epoch).gauss(0.0, 0.005)
    rate = math.log10(float(trial.params["lr"] or 1.0))
    ceiling = 0.98 - 0.08 * (rate + 2.5) ** 2 - 0.1 * float(trial.params["dropout"] or 0.0) ** 2
    accuracy = min(0.999, max(0.05, ceiling * (1.0 - 0.6 * math.exp(-epoch / 3.0)) + noise))
    loss = -math.log(accuracy)
    return {
        "train_loss": loss,
        "train_accuracy": accuracy,
        "val_loss": loss,
        "val_accuracy": accuracy,
    }


@contextmanager
def searching(experiment: Experiment, folder: Path) -> Iterator[Coordinator]:
    """A coordinator with its journal and its views, as in a session."""
    run = RunFolder(folder)
    with closing(Journal(run.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        coordinator.start(Started(spec=experiment.plain(), versions={}, host=platform.node()))
        coordinator.projections = open_projections(run, experiment)
        yield coordinator
        coordinator.close()
