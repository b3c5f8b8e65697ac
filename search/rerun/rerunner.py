"""Reruns: configurations that were tried before are trained again, under fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from analysis.record.events import (
    Changed,
    Confirmed,
    Created,
    Event,
    Job,
    Moved,
    Rerun,
    Started,
    Tested,
    Training,
)
from analysis.record.folder import RunFolder, open_run
from analysis.record.journal import Journal, replay
from analysis.record.lock import locked
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from analysis.views.projection import open_projections
from search.cli.progress import Progress
from search.control.controller import Leader, Trainings
from search.control.first_failures import FirstFailures
from search.control.policy import Rules
from search.preparation import prepare
from search.provenance import compare, note, surroundings_of
from search.reopening import Terms, reentered
from search.signals import faults_told, interruptible
from search.transport.cluster import Slots, on_cluster
from search.transport.tune import run_plain
from spaces.experiment import Budget, Experiment, Scheduler
from spaces.seeds import derive_seed
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.data.splits import Data


class Plan(Protocol):
    """Says which training comes next, as a function of those that were begun and have ended."""

    @property
    def most_trainings(self) -> int:
        """How many it can take."""

    def next(self, begun: Collection[Job], ended: Mapping[Job, float]) -> Job | None:
        """The training to begin now; None when there is none, for now or for good."""

    def wants(self, job: Job) -> bool:
        """Whether a training that was begun before has a place in it."""

    def leader(self, ended: Mapping[Job, float], trials: Trials) -> Leader | None:
        """How it stands, for people."""


class Rerunner(Trainings):
    """Hands out the trainings of a plan; each goes to max_epochs, unless it diverges or fails.

    Their events stand in the run's journal, wrapped, with numbers of their own: the search that is
    extended after them is the same as without.

    Args:
        experiment: the search's.
        trials: its trials.
        journal: where events are written; what it has of reruns is taken in.
        plan: which trainings.

    Raises:
        InputError: when the journal is damaged.
    """

    noun = "rerun"

    def __init__(
        self, experiment: Experiment, trials: Trials, journal: Journal, plan: Plan
    ) -> None:
        super().__init__(experiment, rerun_rules(experiment))
        self.reruns = Reruns(self.rules.trials)
        self._searched = trials
        self._plan = plan
        self._journal = journal
        journal.check = self._check
        replay(journal.path, self._replay)
        self._finish_told()
        self._unfinished = [
            rerun
            for number, rerun in self.trials.running.items()
            if plan.wants(self.reruns.jobs[number])
        ]

    @property
    def must_stop_now(self) -> bool:
        """Whether running trainings shall stop where they are."""
        return self.is_interrupted

    @property
    def most_trials(self) -> int:
        """How many there will be at most, those of earlier plans and failed ones, too."""
        begun = self.reruns.begun(self._plan.wants)
        return len(self.reruns.jobs) - len(begun) + self._plan.most_trainings

    @property
    def is_finished(self) -> bool:
        """Whether the plan is carried out."""
        begun, ended = self.state()
        return begun <= ended.keys() and self._plan.next(begun, ended) is None

    def leader(self) -> Leader | None:
        """How the plan stands, for people."""
        return self._plan.leader(self.state()[1], self._searched)

    def state(self) -> tuple[set[Job], dict[Job, float]]:
        """The trainings of the plan that were begun, and the scores of those that have ended."""
        wants = self._plan.wants
        return self.reruns.begun(wants), self.reruns.ended(wants, self.experiment.metric)

    def next_trial(self) -> Trial | None:
        """The next one to train: unfinished ones first, then what the plan says."""
        if self.must_stop_now or self.first_failures.are_enough:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        job = self._plan.next(*self.state())
        if job is None:
            return None
        number = len(self.trials)
        params = self._searched.by_number[job.trial].params
        seed = seed_of(self.experiment, job, self._searched)
        self._write(Created(trial=number, params=params, seed=seed), job=job)
        return self.trials.by_number[number]

    def origin(self, number: int) -> Trial | None:
        """An audit goes on from where the trial itself was stopped."""
        job = self.reruns.jobs[number]
        return self._searched.by_number[job.trial] if job.purpose == "audit" else None

    def has_failed_before(self, number: int) -> bool:
        """Whether a rerun is one that failed, tried once more by the next confirmation."""
        job, trials = self.reruns.jobs[number], self.trials.by_number
        earlier = (n for n, held in self.reruns.jobs.items() if held == job and n != number)
        return any(trials[n].state == "failed" for n in earlier)

    def _write(self, event: Training, job: Job | None = None) -> None:
        job = self.reruns.jobs[event.trial] if job is None else job
        wrapped = Rerun(trial=job.trial, purpose=job.purpose, index=job.index, what=event)
        written = self._journal.append(wrapped)
        self.rules.apply(written.what)
        self.reruns.note(written)
        for projection in self.projections:
            projection.write(written, self._searched)

    def conclude(self, event: Confirmed | Tested) -> None:
        """Write what followed from the reruns."""
        written = self._journal.append(event)
        self._searched.apply(written)
        self.reruns.note(written)

    def note(self, event: Changed | Moved) -> None:
        """Write down what has changed."""
        written = self._journal.append(event)
        for trials in (self.trials, self._searched):
            trials.apply(written)

    def _check(self, event: Event) -> None:
        self._searched.check(event)
        self.reruns.check(event)

    def _replay(self, event: Event) -> None:
        self.reruns.check(event)
        if isinstance(event, Rerun):
            self.rules.replay(event.what)
        elif isinstance(event, Started | Changed):
            self.rules.replay(event)
        self.reruns.note(event)


AnyPlan = TypeVar("AnyPlan", bound=Plan)


@dataclass(frozen=True)
class Reopened:
    """A run that is worked on again: its journal is open, and nobody else writes it."""

    folder: RunFolder
    experiment: Experiment
    trials: Trials
    journal: Journal
    data: Data | None
    rerunner: Rerunner


@contextmanager
def reopened(
    folder: RunFolder,
    plan_of: Callable[[Experiment, Trials], AnyPlan],
    again: str,
    address: str | None,
    verbose: bool,
    terms: Terms,
) -> Iterator[tuple[Reopened, AnyPlan]]:
    """Carry a plan out on Ray, as far as it is not yet; what follows is done inside the context.

    Args:
        folder: the run.
        plan_of: makes the plan, once nobody else writes the run any more.
        again: the command that goes on.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        terms: what to do about code that moved, about what has changed, about failures.

    Raises:
        InputError: when the run is being written by another process, or damaged.
        RunError: when its disk or its storage failed, or all that is trained fails.
    """
    with (
        reentered(folder, terms.code) as (folder, start, experiment, moved),
        faults_told(folder, again),
        locked(folder.path),
    ):
        _, _, trials = open_run(folder.path)
        plan = plan_of(experiment, trials)
        data = prepare(experiment)
        now = surroundings_of(experiment, data)
        changed = compare(start.surroundings, now, terms.strict)
        with closing(Journal(folder.journal_file)) as journal:
            rerunner = Rerunner(experiment, trials, journal, plan)
            note(rerunner, trials.changes, changed, now, moved)
            rerunner.first_failures = FirstFailures(terms.keep_going)
            if not rerunner.is_finished:
                with on_cluster(experiment, address, verbose) as slots:
                    _train(rerunner, folder, slots, data, again)
            with interruptible(rerunner, again):
                yield Reopened(folder, experiment, trials, journal, data, rerunner), plan


def _train(
    rerunner: Rerunner, folder: RunFolder, slots: Slots, data: Data | None, again: str
) -> None:
    part, experiment = folder.of_reruns, rerunner.experiment
    Checkpoints(part.checkpoints(experiment.storage), 0).try_root()
    progress = Progress(rerunner, part)
    with interruptible(rerunner, again), progress:
        rerunner.projections = open_projections(folder, experiment)
        try:
            run_plain(rerunner, part, slots, data, progress)
        finally:
            for projection in rerunner.projections:
                projection.close()


def rerun_rules(experiment: Experiment) -> Rules:
    """The rules for reruns: nobody is stopped early, and no budget ends them."""
    scheduler = Scheduler(name="none", max_epochs=experiment.scheduler.max_epochs)
    return Rules(experiment.model_copy(update={"scheduler": scheduler, "budget": Budget()}))


def seed_of(experiment: Experiment, job: Job, trials: Trials) -> int:
    """The seed of a rerun: of its own, but for an audit, which takes the trial itself further."""
    if job.purpose == "audit":
        return trials.by_number[job.trial].seed
    return derive_seed(experiment.seed, "rerun", job.trial, job.purpose, job.index)
