"""``shoal audit``: stopped trials taken on to max_epochs, to see whether stopping was right."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.events import Job
from analysis.hindsight import Hindsight
from analysis.run import RunFolder
from analysis.trials import Trials
from search.hindsight import hindsight_of
from search.own_place import USUAL, Terms
from search.rerunning import reopened
from search.trainings import Leader
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.seeds import derive_seed


@dataclass(frozen=True)
class Audit:
    """The plan: each of some stopped trials is trained on, from its last checkpoint."""

    trials: tuple[int, ...]

    @property
    def most_trainings(self) -> int:
        """How many it takes."""
        return len(self.trials)

    def wants(self, job: Job) -> bool:
        """Whether a training that was begun before has a place in it."""
        return job.purpose == "audit" and job.trial in self.trials

    def next(self, begun: Collection[Job], ended: Mapping[Job, float]) -> Job | None:
        """The training to begin now; None when there is none left."""
        jobs = (Job(trial, "audit", 0) for trial in self.trials)
        return next((job for job in jobs if job not in begun), None)

    def leader(self, ended: Mapping[Job, float], trials: Trials) -> Leader | None:
        """Nobody races here."""
        return None


def audit_run(
    folder: RunFolder,
    sample: int,
    address: str | None = None,
    verbose: bool = False,
    terms: Terms = USUAL,
) -> Hindsight | None:
    """Take stopped trials of a run on to max_epochs, and look back.

    Args:
        folder: the run.
        sample: so many trials, spread over the rungs.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        terms: what to do about code that moved, about what has changed, about failures.

    Returns:
        What was found; None when it was interrupted.

    Raises:
        InputError: when no trial was stopped, or the run is being written by another process.
        RunError: when its disk or its storage failed.
    """

    def plan(experiment: Experiment, trials: Trials) -> Audit:
        return Audit(tuple(stopped_sample(experiment, trials, sample)))

    again = audit_command(folder, sample)
    with reopened(folder, plan, again, address, verbose, terms) as (work, _):
        if not work.rerunner.is_finished:
            return None
    found = hindsight_of(work.experiment, work.trials, work.rerunner.reruns)
    if found is None:
        raise InputError("none of the audited trials came to its end, so they say nothing")
    return found


def audit_command(folder: RunFolder, sample: int) -> str:
    """The command that begins an audit, or goes on with it."""
    return shlex.join(["shoal", "audit", str(folder.path), "--sample", str(sample)])


def stopped_sample(experiment: Experiment, trials: Trials, size: int) -> list[int]:
    """Stopped trials, drawn at random, in turn from each of the rungs at which they were stopped.

    A larger sample of the same run holds every smaller one.

    Raises:
        InputError: when there is none, or nothing to compare it with.
    """
    counts = trials.counts()
    if not counts["stopped"]:
        raise InputError("no trial of the run was stopped early, so there is nothing to audit")
    if not counts["completed"]:
        raise InputError("no trial of the run came to its end, so there is nothing to compare with")
    draw = np.random.default_rng(derive_seed(experiment.seed, "audit"))
    of_rung: dict[int, list[int]] = {}
    for trial in trials:
        if trial.state == "stopped":
            of_rung.setdefault(trial.epoch, []).append(trial.number)
    shuffled = [draw.permutation(of_rung[epoch]).tolist() for epoch in sorted(of_rung)]
    longest = max((len(numbers) for numbers in shuffled), default=0)
    turns = [numbers[place : place + 1] for place in range(longest) for numbers in shuffled]
    return [number for turn in turns for number in turn][:size]
