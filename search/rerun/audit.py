"""``shoal audit``: stopped trials taken on to max_epochs, to see whether stopping was right."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.record.events import Job
from analysis.record.folder import RunFolder
from analysis.record.trials import Trials
from analysis.verdict.audit import AuditResult
from search.control.controller import Leader
from search.rerun.audit_findings import audit_result
from search.rerun.reopened import reopened
from search.run_context import DEFAULT_TERMS, Terms
from search.session import DEFAULT_HOST, Host
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.seeds import derive_seed


@dataclass(frozen=True)
class Audit:
    """The plan: some stopped trials are trained on, from their last checkpoints.

    Those that were taken on before count, however they were chosen.

    Args:
        order: the stopped trials, in the order in which they are taken.
        size: how many are taken on, in all.
    """

    order: tuple[int, ...]
    size: int

    @property
    def most_trainings(self) -> int:
        """How many it takes."""
        return min(self.size, len(self.order))

    def wants(self, job: Job) -> bool:
        """Whether a training that was begun before has a place in it."""
        return job.purpose == "audit"

    def next(self, begun: Collection[Job], ended: Mapping[Job, float]) -> Job | None:
        """The training to begin now; None when there is none left."""
        if len(begun) >= self.size:
            return None
        jobs = (Job(trial, "audit", 0) for trial in self.order)
        return next((job for job in jobs if job not in begun), None)

    def leader(self, ended: Mapping[Job, float], trials: Trials) -> Leader | None:
        """Nobody races here."""
        return None


def audit_run(
    folder: RunFolder,
    sample: int,
    host: Host = DEFAULT_HOST,
    terms: Terms = DEFAULT_TERMS,
) -> AuditResult | None:
    """Train stopped trials of a run on to max_epochs, and judge the stopping.

    Args:
        folder: the run.
        sample: so many trials in all, spread over the rungs; those of earlier audits count.
        host: what the trainings run in.
        terms: what to do about code that moved, about what has changed, about failures.

    Returns:
        What was found; None when it was interrupted.

    Raises:
        InputError: when no trial was stopped, or the run is being written by another process.
        RunError: when its disk or its storage failed.
    """

    def plan(experiment: Experiment, trials: Trials) -> Audit:
        return Audit(tuple(audit_order(experiment, trials)), sample)

    again = audit_command(folder, sample)
    with reopened(folder, plan, again, host, terms) as work:
        if not work.rerunner.is_finished:
            return None
    found = audit_result(work.experiment, work.rerunner.searched, work.rerunner.reruns)
    if found is None:
        raise InputError("none of the audited trials came to its end, so they say nothing")
    return found


def audit_command(folder: RunFolder, sample: int) -> str:
    """The command that begins an audit, or goes on with it."""
    return shlex.join(["shoal", "audit", str(folder.path), "--sample", str(sample)])


def audit_order(experiment: Experiment, trials: Trials) -> list[int]:
    """The stopped trials in the order in which an audit takes them, in turn from each rung.

    Of four from a rung, three are those that came nearest to passing it, for these might have won,
    and one is drawn from the others, which tell how much a value at the rung says of the end.

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
    for trial in trials.ranked(experiment.metric):
        if trial.state == "stopped":
            of_rung.setdefault(trial.epoch, []).append(trial.number)
    orders = [
        _order(of_rung[epoch], draw.permutation(of_rung[epoch]).tolist())
        for epoch in sorted(of_rung)
    ]
    turns = itertools.zip_longest(*orders)
    return [number for turn in turns for number in turn if number is not None]


def _order(nearest: Sequence[int], drawn: Sequence[int]) -> list[int]:
    """The stopped trials of a rung: three by their values, then one as it was drawn, and so on."""
    taken: dict[int, None] = {}
    by_value, by_chance = iter(nearest), iter(drawn)
    while len(taken) < len(nearest):
        source = by_chance if len(taken) % 4 == 3 else by_value
        taken[next(number for number in source if number not in taken)] = None
    return list(taken)
