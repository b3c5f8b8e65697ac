"""A search in simulated time: the real coordinator, and workers that take as long as was measured.

What its trials report is made up (curves.py).
"""

from __future__ import annotations

import heapq
import itertools
import os
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
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
from search.plan.curves import Curves
from spaces.experiment import Budget, Experiment

_FEWEST_TRIALS = 400  # that are simulated of a longer search,
_ROUNDS = 4  # and so many for each lane, where these are more
_FEWEST_SEARCHES = 3
_MOST_SEARCHES = 19  # from one that learns nothing to one that learns much
_TRIALS_OF_ALL = 1500  # of all simulated searches together, where these are more than the fewest


@dataclass(frozen=True)
class Simulated:
    """What a simulated search took and gave.

    ``seconds``: from its start to its report; ``trained``: that workers trained, all together;
    ``completed``: trials that reached max_epochs.
    """

    seconds: float
    trained: float
    trials: float
    completed: float
    epochs: float


def simulate(
    experiment: Experiment, costs: Costs, crew: Crew, seed: int = 0, learning: float = 0.5
) -> Simulated:
    """Search from the start to the end, in no time.

    Of a long search the first trials are simulated; the others are taken to be like the latter half
    of these.

    Args:
        experiment: the search, whose budget sets a bound by trials, epochs or hours.
        costs: what everything takes.
        crew: what trains.
        seed: of the values, and of what each trial costs.
        learning: from 0 to 1, how much a sampler that learns does so.
    """
    limits = bounded(experiment).budget
    most = max(_FEWEST_TRIALS, _ROUNDS * crew.workers * crew.lanes)
    begun = limits.model_copy(update={"trials": min(most, limits.trials or most)})
    shortened = experiment.model_copy(update={"budget": begun})
    random = np.random.default_rng(seed)
    search = _Search(shortened, costs, crew, Curves(experiment, random, learning), random, most)
    found = search.run()
    if found.trials < most:
        return found
    return _continued(found, search.of_each(), limits, costs.opening + costs.closing)


def _continued(found: Simulated, each: Simulated, limits: Budget, outside: float) -> Simulated:
    """A search that goes on to its limits.

    Args:
        found: what its first trials took and gave.
        each: what each further one adds to that.
        limits: the first of which ends it.
        outside: seconds that the hours of the budget do not count.
    """
    so_far, added = asdict(found), asdict(each)
    ends = {
        "trials": limits.trials,
        "epochs": limits.epochs,
        "seconds": None if limits.hours is None else 3600 * limits.hours + outside,
    }
    further = [(end - so_far[n]) / added[n] for n, end in ends.items() if end is not None]
    assert further, "a search without a limit of trials, epochs or hours can't be simulated"
    trials = max(0.0, min(further))
    return Simulated(**{name: held + trials * added[name] for name, held in so_far.items()})


def simulations(
    experiment: Experiment, costs: Costs, crew: Crew, count: int | None = None
) -> list[Simulated]:
    """Several searches: from one that learns the least to one that learns the most.

    Args:
        experiment: as in ``simulate``, and so are the others.
        costs: what everything takes.
        crew: what trains.
        count: how many; left out: as many as take some seconds.
    """
    if count is None:
        trials = bounded(experiment).budget.trials or _TRIALS_OF_ALL
        count = max(_FEWEST_SEARCHES, min(_MOST_SEARCHES, _TRIALS_OF_ALL // trials))
    shares = np.linspace(0.0, 1.0, count)
    return [simulate(experiment, costs, crew, *given) for given in enumerate(shares.tolist())]


def simulated_epochs(experiment: Experiment) -> Range:
    """Between how many epochs a search trains, one trial after the other."""
    searches = simulations(experiment, Costs(1.0, [1.0]), Crew(1))
    return range_of(search.epochs for search in searches)


@dataclass
class _Worker:
    """``trials``: those that it trains, an epoch of each before it reports."""

    trials: list[Trial] = field(default_factory=list)


class _Search:
    """The driver does one thing after the other: while it proposes, reports wait."""

    def __init__(
        self,
        experiment: Experiment,
        costs: Costs,
        crew: Crew,
        curves: Curves,
        random: np.random.Generator,
        most: int,
    ) -> None:
        self._costs, self._crew, self._spec = costs, crew, experiment.plain()
        self._now = costs.opening  # the driver's time, in seconds
        self._curves = curves
        self._epochs = _lengths(costs, random)
        self._seconds: dict[int, float] = {}  # of an epoch, by trial
        self._trained = 0.0
        self._marked = (most // 2, most)  # trials, at which it is noted how the search stands
        self._marks: list[Simulated] = []
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
        self._now += self._costs.closing
        return self._so_far()

    def of_each(self) -> Simulated:
        """What each further trial would take and give, by the latter half of those that were begun.

        While trials are left to begin, all workers train; an epoch takes as long as it does then.
        """
        half, full = self._marks
        later = [trial for trial in self._coordinator.trials if trial.number >= half.trials]
        epochs = statistics.fmean(trial.epoch for trial in later)
        share = epochs / (full.epochs - half.epochs)
        return Simulated(
            seconds=share * (full.seconds - half.seconds),
            trained=share * (full.trained - half.trained),
            trials=1.0,
            completed=statistics.fmean(trial.state == "completed" for trial in later),
            epochs=epochs,
        )

    def _so_far(self) -> Simulated:
        trials = self._coordinator.trials
        return Simulated(
            seconds=self._now,
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
            if before + 1 in self._marked:
                self._marks.append(self._so_far())
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
