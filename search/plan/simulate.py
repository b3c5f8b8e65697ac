"""A search in simulated time: the real coordinator, and workers that take as long as was measured.

Who is stopped depends on the order of values alone. So the values are made up: each trial has a
height, a normal number, and its reports are that plus noise, which becomes less from epoch to
epoch. Where the sampler learns, later trials are higher; by how much is drawn for each search.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.record.events import Event, Started
from analysis.record.journal import EventType
from analysis.record.trial import Trial
from search.control.budget import most_trials
from search.control.choices import Choice
from search.control.coordinator import Coordinator
from search.control.sampler import Proposal
from search.plan.costs import Costs, Crew, Range, range_of
from spaces.experiment import Experiment

_NOISE = 1.0  # of a value after the first epoch, likewise
_MOST_LEARNED = 2.0  # the most by which heights rise over a search, in their standard deviation
_HALF_LEARNED = 3  # trials, in which they rise by half of that
_ENOUGH = 500  # trials, of which the epochs of more can be told
_SEARCHES = 9
_ZERO = 100.0  # so far are values from 0, near which a loss could seem to explode


@dataclass(frozen=True)
class Simulated:
    """What a simulated search took and gave.

    ``seconds``: from its start to its report; ``trained``: that workers trained, all together;
    ``completed``: trials that reached max_epochs.
    """

    seconds: float
    trained: float
    trials: int
    completed: int
    epochs: int


def simulate(experiment: Experiment, costs: Costs, crew: Crew, seed: int = 0) -> Simulated:
    """Search from the start to the end, in no time.

    Args:
        experiment: the search, whose budget sets a bound by trials, epochs or hours.
        costs: what everything takes.
        crew: what trains.
        seed: of the values, and of what each trial costs.
    """
    return _Search(experiment, costs, crew, np.random.default_rng(seed)).run()


def simulated_epochs(experiment: Experiment) -> Range:
    """Between how many epochs a search trains, one trial after the other."""
    costs, trials = Costs(1.0, [1.0]), experiment.budget.trials or _ENOUGH
    if trials > _ENOUGH:
        budget = experiment.budget.model_copy(update={"trials": _ENOUGH})
        experiment = experiment.model_copy(update={"budget": budget})
    share = max(1.0, trials / _ENOUGH)
    searches = (simulate(experiment, costs, Crew(1), seed) for seed in range(_SEARCHES))
    return range_of(share * search.epochs for search in searches)


@dataclass
class _Worker:
    """``trials``: those that it trains, an epoch of each before it reports."""

    trials: list[Trial] = field(default_factory=list)


class _Search:
    """The driver does one thing after the other: while it proposes, reports wait."""

    def __init__(
        self, experiment: Experiment, costs: Costs, crew: Crew, random: np.random.Generator
    ) -> None:
        self._costs, self._crew, self._spec = costs, crew, experiment.plain()
        self._now = costs.process + costs.opening  # the driver's time, in seconds
        self._curves = Curves(experiment, random)
        self._epochs = _lengths(costs, random)
        self._seconds: dict[int, float] = {}  # of an epoch, by trial
        self._trained = 0.0
        self._pauses = _pausing_epochs(experiment)
        log = _Log(lambda: self._now)
        self._coordinator = Coordinator(bounded(experiment), log, _NoParameters())

    def run(self) -> Simulated:
        """Search until nothing is left to train."""
        self._coordinator.start(Started(spec=self._spec, versions={}, host="simulated"))
        ticket = itertools.count()
        free = deque(_Worker() for _ in range(self._crew.workers))
        training: list[tuple[float, int, _Worker]] = []  # by when the epoch of each ends
        while True:
            while free and (ends := self._begin(free[0])):
                heapq.heappush(training, (ends, next(ticket), free.popleft()))
            if not training or self._coordinator.must_stop_now:
                break
            ended, _, worker = heapq.heappop(training)
            self._now = max(self._now, ended)
            worker.trials = [trial for trial in worker.trials if self._goes_on(trial)]
            free.appendleft(worker)
        trials = self._coordinator.trials
        return Simulated(
            seconds=self._now + self._costs.closing,
            trained=self._trained,
            trials=len(trials),
            completed=trials.counts()["completed"],
            epochs=trials.epochs,
        )

    def _begin(self, worker: _Worker) -> float:
        """Let a worker train its next epoch; returns when it ends, 0 where it has no trials."""
        beginning = 0.0
        while len(worker.trials) < self._crew.lanes:
            before = len(self._coordinator.trials)
            if (trial := self._coordinator.next_trial()) is None:
                break
            self._now += self._costs.proposal(before)
            beginning += self._costs.beginning
            self._seconds[trial.number] = next(self._epochs)
            worker.trials.append(trial)
        if not worker.trials:
            return 0.0
        seconds = self._costs.of_round([self._seconds[trial.number] for trial in worker.trials])
        self._trained += seconds
        return self._now + beginning + seconds

    def _goes_on(self, trial: Trial) -> bool:
        """Hand in the report of a trial's next epoch."""
        epoch = trial.epoch + 1
        self._now += self._costs.report
        if epoch in self._pauses:  # it is asked what comes next
            self._now += self._costs.proposal(len(self._coordinator.trials))
        metrics = self._curves.metrics(trial.number, epoch)
        return self._coordinator.report(trial.number, epoch, metrics) == "continue"


def _lengths(costs: Costs, random: np.random.Generator) -> Iterator[float]:
    """Seconds of an epoch: of the baseline, then of one trial after the other."""
    yield costs.baseline
    while True:
        yield costs.epochs[int(random.integers(len(costs.epochs)))]


class Curves:
    """Made-up values of trials, of which only the order counts.

    Args:
        experiment: says which values are better, and whether its sampler learns.
        random: draws them.
    """

    def __init__(self, experiment: Experiment, random: np.random.Generator) -> None:
        self._metric = experiment.metric
        self._random = random
        learns = experiment.sampler.learns and experiment.scheduler.name != "freeze_thaw"
        self._learned = random.uniform(0.0, _MOST_LEARNED) if learns else 0.0
        self._heights: dict[int, float] = {}

    def metrics(self, trial: int, epoch: int) -> dict[str, float]:
        """What a trial reports after an epoch."""
        if trial not in self._heights:
            rise = self._learned * trial / (trial + _HALF_LEARNED)
            self._heights[trial] = rise + self._random.standard_normal()
        noise = _NOISE * self._random.standard_normal() / math.sqrt(epoch)
        height = self._heights[trial] + noise
        return {self._metric.name: _ZERO - height if self._metric.is_minimized else _ZERO + height}


class _Log:
    """Stamps events with the simulated time, and keeps none.

    Args:
        clock: tells it, in seconds.
    """

    path = Path(os.devnull)

    def __init__(self, clock: Callable[[], float]) -> None:
        self.check: Callable[[Event], None] | None = None
        self.now = clock

    def append(self, event: EventType) -> EventType:
        """Stamp an event."""
        return event.model_copy(update={"time": self.now()})


class _NoParameters:
    """Proposes configurations without parameters: values do not depend on them."""

    is_exhausted = False

    def next(self, may_begin: bool) -> Choice:
        """A new trial, as long as there may be one."""
        return Choice(Proposal({}, None, {}) if may_begin else None, None)

    def take(self, event: Event) -> None:
        """Learn nothing."""


def bounded(experiment: Experiment) -> Experiment:
    """What decides in a simulated search: the experiment, ended by what is counted only.

    A limit that depends on values is left out: they are made up. Trials that would wait at their
    rungs are stopped there: about as many epochs are trained.
    """
    budget = experiment.budget.model_copy(
        update={
            "trials": most_trials(experiment, experiment.budget),
            "target": None,
            "patience": None,
        }
    )
    scheduler = experiment.scheduler
    if scheduler.name == "freeze_thaw":
        scheduler = scheduler.model_copy(update={"name": "asha"})
    return experiment.model_copy(update={"budget": budget, "scheduler": scheduler})


def _pausing_epochs(experiment: Experiment) -> frozenset[int]:
    """The epochs at which trials wait."""
    scheduler = experiment.scheduler
    return frozenset(scheduler.rung_epochs if scheduler.name == "freeze_thaw" else ())
