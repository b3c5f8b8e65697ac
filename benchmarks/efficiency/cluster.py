"""A simulated cluster: workers whose epochs take about the same time, and who asks what of whom."""

from __future__ import annotations

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.efficiency.landscape import Landscape
from spaces.parameters import Params

SPREAD = 0.1  # of the length of an epoch between trials: the standard deviation of its logarithm


@dataclass
class Job:
    """A trial, as a contender hands it out: to begin, or to go on after ``epochs``."""

    trial: int
    params: Params
    epochs: int = 0


class Contender(ABC):
    """A way to search: it says what a free worker trains, and whether a trial goes on."""

    @abstractmethod
    def ask(self) -> Job | None:
        """What a free worker shall train; None: nothing for now."""

    @abstractmethod
    def report(self, trial: int, epoch: int, value: float) -> bool:
        """Take the metric after an epoch; returns whether the worker goes on with the trial."""

    @abstractmethod
    def chosen(self) -> Params:
        """The configuration that is best so far, by what was reported."""

    def close(self) -> None:  # noqa: B027 (most have nothing to close)
        """The search ends."""


@dataclass
class Outcome:
    """What a simulated search gave: regret (points) after so many epochs, and what was begun."""

    regret: dict[int, float] = field(default_factory=dict)
    begun: list[Params] = field(default_factory=list)


def simulate(
    contender: Contender, landscape: Landscape, workers: int, marks: Sequence[int], seed: int
) -> Outcome:
    """Let a contender search until the last of ``marks`` epochs were trained.

    Args:
        contender: a new one.
        landscape: what is searched.
        workers: how many train at a time.
        marks: at how many epochs in all to look at the regret, ascending.
        seed: of the noise of each training, and of the lengths of epochs.
    """
    random = np.random.default_rng(seed)
    outcome, done, best = Outcome(), 0, landscape.best
    curves: dict[int, Sequence[float]] = {}
    lengths: dict[int, float] = {}
    free, ticket = workers, itertools.count()
    events: list[tuple[float, int, Job]] = []
    now = 0.0
    while done < marks[-1]:
        while free and (job := contender.ask()) is not None:
            free -= 1
            if job.trial not in curves:
                outcome.begun.append(job.params)
                curves[job.trial] = landscape.curve(job.params, seed * 100_003 + job.trial)
                lengths[job.trial] = float(np.exp(SPREAD * random.standard_normal()))
            heapq.heappush(events, (now + lengths[job.trial], next(ticket), job))
        if not events:
            raise RuntimeError(f"the contender has nothing to train after {done} epochs")
        now, _, job = heapq.heappop(events)
        job.epochs += 1
        goes_on = contender.report(job.trial, job.epochs, curves[job.trial][job.epochs - 1])
        done += 1
        if done in marks:
            outcome.regret[done] = 100 * (best - landscape.worth(contender.chosen()))
        if goes_on and job.epochs < landscape.epochs:
            heapq.heappush(events, (now + lengths[job.trial], next(ticket), job))
        else:
            free += 1
    contender.close()
    return outcome
