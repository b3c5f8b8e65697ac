"""Trainings of configurations that were tried before, and what followed from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from analysis.record.events import (
    Changed,
    Confirmed,
    Created,
    Event,
    Job,
    Purpose,
    Rerun,
    Started,
    Tested,
)
from analysis.record.trials import Trial, Trials
from spaces.metric import Metric
from spaces.problems import InputError


class Reruns:
    """How the reruns of a run stand: a projection of its events.

    Args:
        trials: takes in what happens to them; left out, one is made.
    """

    def __init__(self, trials: Trials | None = None) -> None:
        self.trials = Trials() if trials is None else trials
        self.jobs: dict[int, Job] = {}  # by the number of the rerun
        self.confirmed: list[Confirmed] = []
        self.tested: list[Tested] = []
        self._by_job: dict[Job, Trial] = {}
        self._retried: set[Job] = set()  # failed before the last verdict, to be begun again

    def check(self, event: Event) -> None:
        """See that an event fits what came before; nothing is changed.

        Raises:
            InputError: when it does not.
        """
        if not isinstance(event, Rerun):
            return
        self.trials.check(event.what)
        number, job = event.what.trial, event.job
        if self.jobs.get(number, job) != job:
            raise InputError(f"rerun {number} belongs to trial {self.jobs[number].trial}")
        held = self._by_job.get(job)
        if isinstance(event.what, Created) and held is not None and held.state != "failed":
            raise InputError(f"{job.purpose} {job.index} of trial {job.trial} was begun")

    def apply(self, event: Event) -> None:
        """Take one event in; those of the search change nothing here.

        Raises:
            InputError: when it does not fit what came before.
        """
        self.check(event)
        if isinstance(event, Rerun):
            self.trials.apply(event.what)
        elif isinstance(event, Started | Changed):  # which metric reports have; what they rest on
            self.trials.apply(event)
        self.note(event)

    def note(self, event: Event) -> None:
        """Take in what ``trials``, which has the event, does not hold: whose rerun it is."""
        match event:
            case Rerun() if isinstance(event.what, Created):
                number, job = event.what.trial, event.job
                self.jobs[number] = job
                self._by_job[job] = self.trials.by_number[number]
                self._retried.discard(job)
            case Confirmed():
                self.confirmed.append(event)
                held = self._by_job.items()
                self._retried = {job for job, rerun in held if rerun.state == "failed"}
            case Tested():
                self.tested.append(event)

    def get(self, job: Job) -> Trial | None:
        """The training of a job, None where it was not begun."""
        return self._by_job.get(job)

    def begun(self, wants: Callable[[Job], bool]) -> set[Job]:
        """The trainings of a plan that were begun, but for those to be begun again."""
        return {job for job in self._by_job if wants(job) and job not in self._retried}

    def ended(self, wants: Callable[[Job], bool], metric: Metric) -> dict[Job, float]:
        """The scores of those that have ended, NaN where one diverged or failed."""
        held = ((job, self._by_job[job]) for job in self.begun(wants))
        return {job: _score(rerun, metric) for job, rerun in held if rerun.state != "running"}

    def audited(self) -> dict[int, Trial]:
        """The stopped trials that were taken on to their ends, by number, as they ended there."""
        held = {job.trial: rerun for job, rerun in self._by_job.items() if job.purpose == "audit"}
        return {n: rerun for n, rerun in held.items() if rerun.state in ("completed", "diverged")}

    def of(self, trial: int, purpose: Purpose) -> Iterator[Trial]:
        """The trainings of a configuration for a purpose, by their index."""
        index = 0
        while (rerun := self.get(Job(trial, purpose, index))) is not None:
            yield rerun
            index += 1

    def scores(self, trial: int, purpose: Purpose, metric: Metric) -> list[float]:
        """The scores of those that have ended, NaN where one diverged or failed."""
        ended = (rerun for rerun in self.of(trial, purpose) if rerun.state != "running")
        return [_score(rerun, metric) for rerun in ended]


def _score(rerun: Trial, metric: Metric) -> float:
    value = rerun.value(metric)
    return math.nan if value is None else value
