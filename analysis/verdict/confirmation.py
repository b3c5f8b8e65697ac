"""What a confirmation found: each configuration's figures, the gain, and one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from analysis.display.scale import Scale, scale_of
from analysis.insight.configurations import params_key, searched_values
from analysis.record.events import Confirmed, Tested
from analysis.record.folder import RunFolder, open_run
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from analysis.stats.intervals import Estimate, difference, estimate, finite
from analysis.stats.score_range import Bounds, bounds_in, collapsed, sound
from analysis.verdict.sentence import sentence_of
from spaces.experiment import Experiment, Metric
from spaces.parameters import Params


@dataclass(frozen=True)
class Standing:
    """A configuration under fresh seeds, on the validation split or on the test split.

    ``searched``: what the search believed. ``scores``: finite ones; ``lost``: how many seeds
    diverged or failed. ``collapsed``: those of the scores that are far below the others; the
    estimate is of the rest. ``optimism``: by how much the search made it look better than it is,
    where it trained it to the end. ``bounds``: what its scores can be.
    """

    trial: int
    params: Params
    searched: float | None
    scores: list[float]
    lost: int
    collapsed: list[float]
    estimate: Estimate | None
    optimism: float | None
    bounds: Bounds

    def gain_over(self, other: Standing) -> Estimate | None:
        """By how much it is better than another; None where a score or two say too little."""
        a, b = (sound(held.scores, held.bounds) for held in (self, other))
        return difference(a, b, self.bounds, other.bounds)

    def plain(self) -> dict[str, Any]:
        """The figures as ``--json`` prints them; None for each where there are too few scores."""
        found = dict.fromkeys(("n", "mean", "se", "low", "high"))
        return {
            "trial": self.trial,
            "params": self.params,
            "searched": self.searched,
            **(found | {"n": len(self.scores)} if self.estimate is None else self.estimate.plain()),
            "optimism": self.optimism,
            "lost": self.lost,
            "collapsed": len(self.collapsed),
            "scores": self.scores,
        }


@dataclass(frozen=True)
class Confirmation:
    """What ``shoal confirm`` found last.

    ``candidates`` are chosen by these scores; ``winner`` and ``baseline`` are measured under seeds
    that took no part in the choice. ``gain``: by how much the winner is better on validation;
    ``tested``, ``baseline_tested`` and ``gain_on_test``: what both came to on the test split, where
    that was read. ``tests``: every reading, the oldest first. ``later``: how many trials began
    after it; ``earlier``: what other confirmations of this run came to, a line each.
    """

    metric: Metric
    candidates: list[Standing]
    winner: Standing | None
    baseline: Standing | None
    gain: Estimate | None
    tested: Standing | None
    baseline_tested: Standing | None
    gain_on_test: Estimate | None
    tests: list[Tested]
    most_seeds: int
    later: int
    earlier: list[str]

    @property
    def scale(self) -> Scale:
        """How its scores are written."""
        measured = [held for held in (self.winner, self.baseline) if held is not None]
        scores = (score for held in (*self.candidates, *measured) for score in held.scores)
        return scale_of(self.metric.name, scores)

    @property
    def note(self) -> str:
        """What is not in it."""
        return f"{self.later} later trials of the search are not in this" if self.later else ""

    @property
    def told_gain(self) -> Estimate | None:
        """The gain that counts: on test, which the search has not seen, else on validation."""
        return self.gain if self.gain_on_test is None else self.gain_on_test

    @property
    def is_worse(self) -> bool:
        """Whether the winner measured worse than the baseline."""
        return self.told_gain is not None and self.told_gain.mean < 0

    @property
    def has_score(self) -> bool:
        """Whether anything can be said of a winner."""
        return self.winner is not None and self.winner.estimate is not None

    def role(self, held: Standing) -> str:
        """What became of a candidate: it won, was out of the race early, or raced to the end."""
        if self.winner is not None and held.trial == self.winner.trial:
            return "chosen"
        if held.lost:
            return "lost a seed"
        if held.collapsed:
            return "collapsed"
        return "dropped" if len(held.scores) < self.most_seeds else "candidate"

    @property
    def sentence(self) -> str:
        """The finding, as one would say it."""
        return sentence_of(self)

    def plain(self) -> dict[str, Any]:
        """What ``shoal confirm --json`` prints, but for the run."""
        return {
            "metric": self.metric.name,
            "mode": self.metric.mode,
            "sentence": self.sentence,
            "later_trials": self.later,
            "earlier": self.earlier,
            "winner": None if self.winner is None else self.winner.plain(),
            "baseline": None if self.baseline is None else self.baseline.plain(),
            "gain": None if self.gain is None else self.gain.plain(),
            "tested": None if self.tested is None else self.tested.plain(),
            "gain_on_test": None if self.gain_on_test is None else self.gain_on_test.plain(),
            "candidates": [standing.plain() for standing in self.candidates],
            "seeds": self.most_seeds,
            "tests": [_reading(test) for test in self.tests],
        }


def _line(event: Confirmed, experiment: Experiment, trials: Trials) -> str:
    """An earlier confirmation, in short."""
    asked = f"{len(event.candidates)} candidates, {event.most_seeds} seeds"
    held = _measured(event, experiment, trials)
    if held is None or held.estimate is None:
        return f"{asked}: no winner"
    scale = scale_of(experiment.metric.name, finite([*event.scores, *event.baseline_scores]))
    span = scale.span(held.estimate.low, held.estimate.high)
    return f"{asked}: trial {held.trial}, {scale.score(held.estimate.mean)} (95 %: {span})"


def figures_of(held: Standing, scale: Scale) -> list[str]:
    """Seeds, mean, SE, interval, searched score and optimism of a configuration, as texts."""
    failed = {"lost": held.lost, "collapsed": len(held.collapsed)}
    told = ", ".join(f"{count} {what}" for what, count in failed.items() if count)
    seeds = f"{len(held.scores)}" + (f" ({told})" if told else "")
    figures = [scale.score(held.scores[0], unit=""), "", ""] if held.scores else ["", "", ""]
    if held.estimate is not None:
        low, high = (scale.score(v, unit="") for v in (held.estimate.low, held.estimate.high))
        mean, se = scale.score(held.estimate.mean, unit=""), scale.width(held.estimate.se)
        figures = [mean, se, f"{low}–{high}"]
    searched = "" if held.searched is None else scale.score(held.searched, unit="")
    optimism = "" if held.optimism is None else scale.width(held.optimism)
    return [seeds, *figures, searched, optimism]


def figure_names(scale: Scale) -> list[str]:
    """The heads of these columns."""
    mean = "mean, %" if scale.is_share else "mean"
    return ["seeds", mean, "SE", "95 % interval", "searched", "optimism"]


class ConfirmedRun(NamedTuple):
    """A run with all that came after its search."""

    folder: RunFolder
    experiment: Experiment
    trials: Trials
    reruns: Reruns
    confirmation: Confirmation | None


def open_confirmed(path: Path) -> ConfirmedRun:
    """Read a run folder's journal with its reruns, and what they found.

    Raises:
        InputError: when it is none, or its files are damaged.
    """
    reruns = Reruns()
    folder, experiment, trials = open_run(path, reruns.apply)
    found = confirmation_of(experiment, trials, reruns)
    return ConfirmedRun(folder, experiment, trials, reruns, found)


def confirmation_of(experiment: Experiment, trials: Trials, reruns: Reruns) -> Confirmation | None:
    """What the last confirmation of a run found; None where there was none."""
    if not reruns.confirmed:
        return None
    event = reruns.confirmed[-1]
    winner = _measured(event, experiment, trials)
    baseline = _measured_baseline(event, experiment, trials)
    tested = _tested(winner, experiment, trials, reruns.tested)
    baseline_tested = _tested(baseline, experiment, trials, reruns.tested)
    return Confirmation(
        metric=experiment.metric,
        candidates=[
            standing(
                experiment,
                trials,
                number,
                reruns.scores(number, "choose", experiment.metric)[: event.most_seeds],
            )
            for number in event.candidates
        ],
        winner=winner,
        baseline=baseline,
        gain=_gain(winner, baseline),
        tested=tested,
        baseline_tested=baseline_tested,
        gain_on_test=_gain(tested, baseline_tested),
        tests=reruns.tested,
        most_seeds=event.most_seeds,
        later=len(trials) - trials.confirmed_after,
        earlier=[_line(held, experiment, trials) for held in reruns.confirmed[:-1]],
    )


def standing(
    experiment: Experiment, trials: Trials, number: int, scores: Sequence[float]
) -> Standing:
    """The figures of one configuration.

    Args:
        experiment: the run's.
        trials: its trials.
        number: the trial whose configuration it is.
        scores: under fresh seeds, NaN for one that was lost.
    """
    metric = experiment.metric
    held = searched_values(trials, metric).get(params_key(trials.by_number[number].params))
    searched = None if held is None else held.value
    found = _standing(trials, number, scores, bounds_in(metric, finite(scores), trials))
    if found.estimate is None or searched is None or held is None or not held.is_of_end:
        return replace(found, searched=searched)
    better = searched - found.estimate.mean
    return replace(found, searched=searched, optimism=better if metric.mode == "max" else -better)


def _standing(trials: Trials, number: int, scores: Sequence[float], bounds: Bounds) -> Standing:
    known = finite(scores)
    return Standing(
        trial=number,
        params=trials.by_number[number].params,
        searched=None,
        scores=known,
        lost=len(scores) - len(known),
        collapsed=collapsed(known, bounds),
        estimate=estimate(sound(known, bounds), bounds),
        optimism=None,
        bounds=bounds,
    )


def _gain(winner: Standing | None, baseline: Standing | None) -> Estimate | None:
    return None if winner is None or baseline is None else winner.gain_over(baseline)


def _measured(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if event.winner is None:
        return None
    return standing(experiment, trials, event.winner, event.scores)


def _measured_baseline(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if experiment.baseline is None or not event.baseline_scores:
        return None
    return standing(experiment, trials, 0, event.baseline_scores)


def _tested(
    measured: Standing | None, experiment: Experiment, trials: Trials, tests: Sequence[Tested]
) -> Standing | None:
    """What a measured configuration came to on the test split; None where that was not read."""
    read = {test.trial: test for test in tests}
    if measured is None or measured.trial not in read:
        return None
    test = read[measured.trial]
    bounds = bounds_in(experiment.metric, finite(test.scores), trials, test.samples or 0)
    return _standing(trials, measured.trial, test.scores, bounds)


def _reading(test: Tested) -> dict[str, Any]:
    scores = [score if math.isfinite(score) else None for score in test.scores]
    return {"trial": test.trial, "metric": test.metric, "scores": scores, "time": test.time}
