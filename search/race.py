"""The race of ``shoal confirm``, pure: which training comes next, and which configuration wins."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from analysis.estimates import student
from analysis.events import Job
from analysis.numbers import number
from analysis.trials import Trials
from search.trainings import Leader
from spaces.experiment import Metric

SURE = 0.98  # between two-sided bounds, 99 % on one side: when a candidate counts as beaten


@dataclass(frozen=True)
class Race:
    """Candidates race under fresh seeds; who wins is then measured under seeds that chose nobody.

    Each candidate gets up to ``seeds`` trainings to ``choose`` by, in rounds. One that diverges or
    fails under any of them is out, and so is one whose mean is below the leader's by more than
    noise explains (Student's t with the variance that all candidates share, 99 %, one-sided). Of
    those that are left at the end, any within one standard error of the best wins when it has the
    fewest parameters. The winner, and the baseline, are each measured ``seeds`` times. The scores
    by which it won would be too good on average, for they chose it; these are not.

    Args:
        candidates: trial numbers, the best in the search first.
        baseline: its trial number, if there is one.
        seeds: how many.
        metric: says which scores are better.
        parameters: trainable ones, by trial number, where they are known.
    """

    candidates: Sequence[int]
    baseline: int | None
    seeds: int
    metric: Metric
    parameters: Mapping[int, int]

    @property
    def most_trainings(self) -> int:
        """How many it can take, if nobody is dropped."""
        measured = 1 + (self.baseline is not None)
        chosen = len(self.candidates) if len(self.candidates) > 1 else 0
        return (chosen + measured) * self.seeds

    def wants(self, job: Job) -> bool:
        """Whether a training that was begun before has a place in this race."""
        runners = self.candidates
        if job.purpose == "measure" and self.baseline is not None:
            runners = [*runners, self.baseline]
        return job.purpose != "audit" and job.trial in runners and job.index < self.seeds

    def leader(self, ended: Mapping[Job, float], trials: Trials) -> Leader | None:
        """Who leads, for people."""
        scores = {trial: s for trial, s in self.scores(ended).items() if s}
        alive = self.alive(ended)
        known = [trial for trial in alive if trial in scores]
        if not known:
            return None
        best = max(known, key=lambda trial: self._good(scores[trial]))
        seeds = "1 seed" if len(scores[best]) == 1 else f"{len(scores[best])} seeds"
        score = f"{self.metric.name} {number(fmean(scores[best]))} over {seeds}"
        line = f"{score}  trial {best}; {len(alive)} of {len(self.candidates)} can still win"
        return Leader("leader", line, trials.by_number[best].params)

    def next(self, begun: Collection[Job], ended: Mapping[Job, float]) -> Job | None:
        """The training to begin now; None when there is none, for now or for good.

        Args:
            begun: those that were begun, the ended ones, too.
            ended: the scores of those that ended, NaN where one diverged or failed.
        """
        alive = self.alive(ended)
        choosing = [
            Job(trial, "choose", index)
            for index in range(self.seeds)
            for trial in (alive if len(alive) > 1 else ())
        ]
        is_chosen = self.is_chosen(begun, ended)
        winners = [self.winner(ended)] if is_chosen else []
        measuring = [
            Job(trial, "measure", index)
            for trial in (*winners, self.baseline)
            if trial is not None
            for index in range(self.seeds)
        ]
        return next((job for job in (*choosing, *measuring) if job not in begun), None)

    def is_chosen(self, begun: Collection[Job], ended: Mapping[Job, float]) -> bool:
        """Whether no training is left, or under way, that could change who wins."""
        alive = self.alive(ended)
        chosen_by = {
            Job(trial, "choose", i) for trial in self.candidates for i in range(self.seeds)
        }
        if any(job in begun and job not in ended for job in chosen_by):
            return False
        return len(alive) < 2 or all(
            Job(trial, "choose", i) in ended for trial in alive for i in range(self.seeds)
        )

    def alive(self, ended: Mapping[Job, float]) -> list[int]:
        """The candidates that can still win, in the order in which they came."""
        if len(self.candidates) < 2:  # it need not be chosen
            return list(self.candidates)
        scores = self.scores(ended)
        sound = [t for t in self.candidates if all(math.isfinite(score) for score in scores[t])]
        known = {trial: scores[trial] for trial in sound if scores[trial]}
        spread, degrees = _shared_spread(list(known.values()))
        if not degrees:
            return sound
        leader = max(known, key=lambda trial: self._good(known[trial]))
        return [
            trial
            for trial in sound
            if trial not in known
            or self._good(known[leader]) - self._good(known[trial])
            <= student(degrees, SURE) * _error(spread, known[leader], known[trial])
        ]

    def winner(self, ended: Mapping[Job, float]) -> int | None:
        """Who has won, None where every candidate was lost."""
        scores, alive = self.scores(ended), self.alive(ended)
        known = [trial for trial in alive if scores[trial]]
        if len(alive) < 2 or not known:  # none is left, or one, which need not be compared
            return next(iter(alive), None)
        spread, _ = _shared_spread([scores[trial] for trial in known])
        best = max(known, key=lambda trial: self._good(scores[trial]))
        tied = [
            trial
            for trial in known
            if self._good(scores[best]) - self._good(scores[trial])
            <= _error(spread, scores[best], scores[trial])
        ]
        if any(trial not in self.parameters for trial in tied):
            return best
        return min(tied, key=lambda t: (self.parameters[t], -self._good(scores[t])))

    def scores(self, ended: Mapping[Job, float]) -> dict[int, list[float]]:
        """The scores by which the candidates are chosen, by trial number."""
        jobs = [[Job(trial, "choose", i) for i in range(self.seeds)] for trial in self.candidates]
        return {group[0].trial: [ended[job] for job in group if job in ended] for group in jobs}

    def _good(self, scores: Sequence[float]) -> float:
        return fmean(scores) if self.metric.mode == "max" else -fmean(scores)


def _shared_spread(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within groups, and its degrees of freedom."""
    squares = sum((score - fmean(group)) ** 2 for group in groups for score in group)
    degrees = sum(len(group) - 1 for group in groups)
    return (math.sqrt(squares / degrees) if degrees else 0.0), degrees


def _error(spread: float, a: Sequence[float], b: Sequence[float]) -> float:
    """The standard error of the difference of two means."""
    return spread * math.sqrt(1 / len(a) + 1 / len(b))
