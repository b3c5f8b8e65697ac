"""The race of ``shoal confirm``, pure: which training comes next, and which configuration wins."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from analysis.display.numbers import number
from analysis.record.events import Job, RaceRule
from analysis.record.trials import Trials
from analysis.stats.intervals import student
from analysis.stats.score_range import FREE, Bounds, sound
from search.control.controller import Leader
from search.rerun.posterior import chances_of_best
from spaces.metric import Metric

SURE = 0.98  # between two-sided bounds, 99 % on one side: when a candidate counts as beaten
UNLIKELY = 0.1  # of the leader's probability to be the best: below that, a candidate is out
FIRST_ROUND = 2  # seeds: the fewest that have a spread


@dataclass(frozen=True)
class Race:
    """Candidates race under fresh seeds; who wins is then measured under seeds that chose nobody.

    In the first round each candidate gets two trainings to ``choose`` by, then one more in each
    round, ``seeds`` in all. One that diverges or fails under any of them is out, and one of which
    more seeds collapse than of others. After a round so is each that is ten times less probable to
    be the best than the likeliest (normal noise, with a variance that all share; the score that
    the search had counts as one more). A round ends before the next begins: so who wins does not
    depend on which training ends first.
    At the end the best mean wins; with ``prefer_small``, of those within one standard error of it
    the one with the fewest parameters. The winner, and the baseline, are each measured ``seeds``
    times. The scores by which it won would be too good on average, for they chose it; these are
    not.

    All that is the rule ``posterior``. Confirmations of earlier versions went by ``bounds``: at any
    moment, a candidate was out when its mean was below the leader's by more than noise explains
    (Student's t, 99 %, one-sided).

    Args:
        candidates: trial numbers, the best in the search first.
        baseline: its trial number, if there is one.
        seeds: how many.
        metric: says which scores are better.
        parameters: trainable ones, by trial number, where they are known.
        searched: what the search measured of them in a whole training, by trial number.
        bounds: what scores can be.
        rule: by which candidates are dropped.
        prefer_small: whether a tie goes to the fewest parameters.
    """

    candidates: Sequence[int]
    baseline: int | None
    seeds: int
    metric: Metric
    parameters: Mapping[int, int]
    searched: Mapping[int, float] = field(default_factory=dict)
    bounds: Bounds = FREE
    rule: RaceRule = "posterior"
    prefer_small: bool = False

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
        return Leader("leader", line, trials.by_number[best].configuration)

    def next(self, begun: Collection[Job], ended: Mapping[Job, float]) -> Job | None:
        """The training to begin now; None when there is none, for now or for good.

        Args:
            begun: those that were begun, the ended ones, too.
            ended: the scores of those that ended, NaN where one diverged or failed.
        """
        alive, seeds = self._standing(ended)
        choosing = [Job(trial, "choose", index) for index in range(seeds) for trial in alive]
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
        chosen_by = {
            Job(trial, "choose", i) for trial in self.candidates for i in range(self.seeds)
        }
        if any(job in begun and job not in ended for job in chosen_by):
            return False
        alive, seeds = self._standing(ended)
        return all(Job(trial, "choose", i) in ended for trial in alive for i in range(seeds))

    def alive(self, ended: Mapping[Job, float]) -> list[int]:
        """The candidates that can still win, in the order in which they came."""
        return self._standing(ended)[0]

    def _standing(self, ended: Mapping[Job, float]) -> tuple[list[int], int]:
        """The candidates that can still win, and how many seeds each shall have for now."""
        if len(self.candidates) < 2:  # it need not be chosen
            return list(self.candidates), 0
        if self.rule == "posterior":
            return self._after_rounds(ended)
        scores = self.scores(ended)
        alive = [t for t in self.candidates if all(map(math.isfinite, scores[t]))]
        known = {trial: scores[trial] for trial in alive if scores[trial]}
        spread, degrees = _shared_spread(list(known.values()))
        beaten = self._beaten(known, spread, degrees) if degrees else set()
        alive = [trial for trial in alive if trial not in beaten]
        return alive, self.seeds if len(alive) > 1 else 0

    def _after_rounds(self, ended: Mapping[Job, float]) -> tuple[list[int], int]:
        """What is left after the rounds that have ended, and the seeds of the one that has not."""
        alive = list(self.candidates)
        out: list[list[float]] = []  # scores of those that are not, which show the spread, too
        for seeds in range(FIRST_ROUND, self.seeds + 1):
            jobs = {t: [Job(t, "choose", i) for i in range(seeds)] for t in alive}
            alive = [t for t in alive if all(math.isfinite(ended.get(j, 0.0)) for j in jobs[t])]
            if any(job not in ended for trial in alive for job in jobs[trial]):
                return alive, seeds
            known = self._soundest({t: [ended[job] for job in jobs[t]] for t in alive})
            if len(known) < 2:
                return list(known), seeds
            spread, degrees = _shared_spread([*known.values(), *out])
            unlikely = self._unlikely(known, spread, degrees)
            out += [known[trial] for trial in unlikely]
            alive = [trial for trial in known if trial not in unlikely]
            if len(alive) < 2:
                return alive, seeds
        return alive, self.seeds

    def _soundest(self, scores: Mapping[int, list[float]]) -> dict[int, list[float]]:
        """The sound scores of those of which the fewest seeds collapsed: of none, as a rule."""
        found = {trial: sound(held, self.bounds) for trial, held in scores.items()}
        fallen = {trial: len(held) - len(found[trial]) for trial, held in scores.items()}
        fewest = min(fallen.values(), default=0)
        return {trial: held for trial, held in found.items() if fallen[trial] == fewest}

    def _unlikely(
        self, known: Mapping[int, Sequence[float]], spread: float, degrees: int
    ) -> set[int]:
        """Those that are ten times less probable to be the best than the likeliest."""
        held = [self._with_searched(trial, scores) for trial, scores in known.items()]
        chances = chances_of_best(
            tuple(map(self._good, held)),
            tuple(map(len, held)),
            spread**2 + self.bounds.step**2 / 12.0,  # scores without any spread are not exact
            degrees,
        )
        least = UNLIKELY * max(chances)
        return {trial for trial, chance in zip(known, chances, strict=True) if chance < least}

    def _beaten(
        self, known: Mapping[int, Sequence[float]], spread: float, degrees: int
    ) -> set[int]:
        """Those whose mean is below the leader's by more than noise explains."""
        leader = max(known.values(), key=self._good)
        return {
            trial
            for trial, scores in known.items()
            if self._good(leader) - self._good(scores)
            > student(degrees, SURE) * _error(spread, leader, scores)
        }

    def winner(self, ended: Mapping[Job, float]) -> int | None:
        """Who has won, None where every candidate was lost."""
        scores, alive = self.scores(ended), self.alive(ended)
        if self.rule == "posterior":
            scores = {trial: sound(held, self.bounds) for trial, held in scores.items()}
        known = {trial: scores[trial] for trial in alive if scores[trial]}
        if len(alive) < 2 or not known:  # none is left, or one, which need not be compared
            return next(iter(alive), None)
        good = {
            trial: self._good(self._with_searched(trial, held)) for trial, held in known.items()
        }
        best = max(known, key=lambda trial: good[trial])
        if not self.prefer_small:
            return best
        spread, _ = _shared_spread(list(known.values()))
        tied = [
            trial
            for trial in known
            if good[best] - good[trial] <= _error(spread, known[best], known[trial])
        ]
        if any(trial not in self.parameters for trial in tied):
            return best
        return min(tied, key=lambda trial: (self.parameters[trial], -good[trial]))

    def scores(self, ended: Mapping[Job, float]) -> dict[int, list[float]]:
        """The scores by which the candidates are chosen, by trial number."""
        jobs = [[Job(trial, "choose", i) for i in range(self.seeds)] for trial in self.candidates]
        return {group[0].trial: [ended[job] for job in group if job in ended] for group in jobs}

    def _with_searched(self, trial: int, scores: Sequence[float]) -> list[float]:
        """A candidate's scores, and that of the search, where it counts."""
        counts = self.rule == "posterior" and trial in self.searched
        return [*scores, self.searched[trial]] if counts else list(scores)

    def _good(self, scores: Sequence[float]) -> float:
        return -self.metric.cost(fmean(scores))


def _shared_spread(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation within groups, and its degrees of freedom."""
    squares = sum((score - fmean(group)) ** 2 for group in groups for score in group)
    degrees = sum(len(group) - 1 for group in groups)
    return (math.sqrt(squares / degrees) if degrees else 0.0), degrees


def _error(spread: float, a: Sequence[float], b: Sequence[float]) -> float:
    """The standard error of the difference of two means."""
    return spread * math.sqrt(1 / len(a) + 1 / len(b))
