"""Reruns: configurations that were tried before are trained again, under fresh seeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Generic, Protocol, TypeVar

from analysis.record.events import Changed, Created, Event, Job, Rerun, Started, Training
from analysis.record.folder import params_check
from analysis.record.journal import Journal
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from search.control.controller import Controller, Leader
from search.control.policy import Policy
from spaces.experiment import Budget, Experiment
from spaces.scheduler import Scheduler
from spaces.seeds import derive_seed


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


AnyPlan = TypeVar("AnyPlan", bound=Plan)


class Rerunner(Controller, Generic[AnyPlan]):
    """Hands out the trainings of a plan; each goes to max_epochs, unless it diverges or fails.

    Their events stand in the run's journal, wrapped, with numbers of their own: the search that is
    extended after them is the same as without.

    Args:
        experiment: the search's.
        journal: where events are written; what it has is taken in.
        plan_of: makes the plan from the trials of the search.

    Raises:
        InputError: when the journal is damaged, or there is nothing to plan.
    """

    noun = "rerun"

    def __init__(
        self,
        experiment: Experiment,
        journal: Journal,
        plan_of: Callable[[Experiment, Trials], AnyPlan],
    ) -> None:
        super().__init__(experiment, rerun_policy(experiment), journal)
        self.reruns = Reruns(self.policy.trials)
        self._searched = Trials()
        self._check_params = params_check(experiment)
        self.replay()
        self.plan = plan_of(experiment, self.searched)

    def begin(self) -> None:
        """Go on where the journal ends."""
        self._finish_stopped()
        self._unfinished = [
            rerun
            for number, rerun in self.trials.running.items()
            if self.plan.wants(self.reruns.jobs[number])
        ]

    @property
    def must_stop_now(self) -> bool:
        """Whether running trainings shall stop where they are."""
        return self.is_interrupted

    @property
    def most_trials(self) -> int:
        """How many there will be at most, those of earlier plans and failed ones, too."""
        begun = self.reruns.begun(self.plan.wants)
        return len(self.reruns.jobs) - len(begun) + self.plan.most_trainings

    @property
    def is_finished(self) -> bool:
        """Whether the plan is carried out."""
        begun, ended = self.state()
        return begun <= ended.keys() and self.plan.next(begun, ended) is None

    def leader(self) -> Leader | None:
        """How the plan stands, for people."""
        return self.plan.leader(self.state()[1], self.searched)

    def state(self) -> tuple[set[Job], dict[Job, float]]:
        """The trainings of the plan that were begun, and the scores of those that have ended."""
        wants = self.plan.wants
        return self.reruns.begun(wants), self.reruns.ended(wants, self.experiment.metric)

    def next_trial(self) -> Trial | None:
        """The next one to train: unfinished ones first, then what the plan says."""
        if self.must_stop_now or self.first_failures.are_enough:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        job = self.plan.next(*self.state())
        if job is None:
            return None
        number = len(self.trials)
        trial = self.searched.by_number[job.trial]
        seed = seed_of(self.experiment, job, self.searched)
        created = Created(trial=number, params=trial.params, seed=seed, settings=trial.settings)
        self.write(_rerun(job, created))
        return self.trials.by_number[number]

    def origin(self, number: int) -> Trial | None:
        """An audit goes on from where the trial itself was stopped."""
        job = self.reruns.jobs[number]
        return self.searched.by_number[job.trial] if job.purpose == "audit" else None

    def has_failed_before(self, number: int) -> bool:
        """Whether a rerun is one that failed, tried once more by the next confirmation."""
        job, trials = self.reruns.jobs[number], self.trials.by_number
        earlier = (n for n, held in self.reruns.jobs.items() if held == job and n != number)
        return any(trials[n].state == "failed" for n in earlier)

    def check(self, event: Event) -> None:
        """See that an event fits those before; nothing is changed."""
        self.searched.check(event)
        self._check_params(event)
        self.reruns.check(event)
        if isinstance(event, Rerun):
            self.policy.check(event.what)

    def apply(self, event: Event) -> None:
        """Take in an event that is in the journal."""
        self.searched.apply(event)
        if isinstance(event, Rerun):
            self.policy.apply(event.what)
        elif isinstance(event, Started | Changed):
            self.policy.apply(event)
        self.reruns.note(event)

    def _wrapped(self, event: Training) -> Event:
        return _rerun(self.reruns.jobs[event.trial], event)

    @property
    def searched(self) -> Trials:
        """The trials of the search."""
        return self._searched

    def close(self, reason: str | None = None) -> None:
        """The session ends; a search that has ended stays so."""
        self._close_projections()


def _rerun(job: Job, event: Training) -> Rerun:
    return Rerun(trial=job.trial, purpose=job.purpose, index=job.index, what=event)


def rerun_policy(experiment: Experiment) -> Policy:
    """The policy for reruns: nobody is stopped early, and no budget ends them."""
    scheduler = Scheduler(name="none", max_epochs=experiment.scheduler.max_epochs)
    return Policy(experiment.model_copy(update={"scheduler": scheduler, "budget": Budget()}))


def seed_of(experiment: Experiment, job: Job, trials: Trials) -> int:
    """The seed of a rerun: of its own, but for an audit, which takes the trial itself further."""
    if job.purpose == "audit":
        return trials.by_number[job.trial].seed
    return derive_seed(experiment.seed, "rerun", job.trial, job.purpose, job.index)
