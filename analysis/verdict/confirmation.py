"""What a confirmation found: each configuration's figures, the gain, and one plain sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from analysis.display.plain import plain
from analysis.display.scale import Scale, scale_of
from analysis.record.events import Confirmed, Tested
from analysis.record.folder import RunFolder, open_run
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from analysis.stats.intervals import Estimate, finite
from analysis.stats.score_range import bounds_in
from analysis.verdict.standing import Standing, searched_standing, standing_of
from spaces.experiment import Experiment
from spaces.metric import Metric


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
    def decisive_gain(self) -> Estimate | None:
        """The gain that counts: on test, which the search has not seen, else on validation."""
        return self.gain if self.gain_on_test is None else self.gain_on_test

    @property
    def is_worse(self) -> bool:
        """Whether the winner measured worse than the baseline."""
        return self.decisive_gain is not None and self.decisive_gain.mean < 0

    @property
    def has_score(self) -> bool:
        """Whether anything can be said of a winner."""
        return self.winner is not None and self.winner.estimate is not None

    def role(self, held: Standing) -> str:
        """What became of a candidate: it won, was out of the race early, or raced to the end."""
        if self.winner is not None and held.trial == self.winner.trial:
            return "chosen"
        if held.failed:
            return "a seed failed"
        if held.collapsed:
            return "collapsed"
        return "dropped" if len(held.scores) < self.most_seeds else "candidate"

    @property
    def sentence(self) -> str:
        """The verdict, the winner's score and its gain, on test where that was read."""
        winner, scale = self.winner, self.scale
        if winner is None:
            return "Not confirmed: each candidate diverged or failed under some seed"
        if winner.failed or winner.estimate is None:
            return f"Not confirmed: {winner.failures}"
        name = "" if scale.is_share else f"{self.metric.name.removeprefix('val_')} "
        figures, split, also = winner.estimate, "validation", ""
        if self.tested is not None and self.tested.estimate is not None:
            figures, split = self.tested.estimate, "test"
            also = f"; {scale.score(winner.estimate.mean)} on validation"
        span = scale.span(figures.low, figures.high)
        score = f"{name}{scale.score(figures.mean)} on {split} (95 %: {span}, {figures.n} seeds)"
        return f"{self._verdict}{score}{self._gained}{also}"

    @property
    def _verdict(self) -> str:
        gain = self.decisive_gain
        if failed := _on_both_splits(self.winner, self.tested):
            return f"Not confirmed, as {failed}; the others: "
        if self.baseline is None or gain is None or gain.low > 0:
            return "Confirmed: "
        if gain.high < 0:
            return "Worse than the baseline: "
        return "Not shown to be better than the baseline: "

    @property
    def _gained(self) -> str:
        gain, scale = self.decisive_gain, self.scale
        if self.baseline is None:
            return ""
        failed = _on_both_splits(self.baseline, self.baseline_tested)
        if gain is None:
            return f"; of the baseline {failed}, so there is no gain to tell"
        sign, word = (1.0, "better") if gain.mean >= 0 else (-1.0, "worse")
        low, high = (scale.width(value) for value in sorted((sign * gain.low, sign * gain.high)))
        by = f"{scale.width(abs(gain.mean))}{scale.unit}"
        compared = f", {by} {word} than the baseline ({low} to {high})"
        if self.tested is not None and self.gain_on_test is None:
            compared += " on validation"
        return f"{compared}, of which {failed}" if failed else compared

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
            "tests": [
                plain(test.model_dump(exclude={"event", "seeds", "samples"})) for test in self.tests
            ],
        }


def _on_both_splits(measured: Standing | None, tested: Standing | None) -> str:
    """What came to nothing on validation, and on test; a seed that does on both is told once."""
    failed, on_test = ("" if held is None else held.failures for held in (measured, tested))
    if failed == on_test:
        return failed
    return ", ".join(part for part in (failed, on_test and f"{on_test} on test") if part)


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
            searched_standing(
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


def _gain(winner: Standing | None, baseline: Standing | None) -> Estimate | None:
    return None if winner is None or baseline is None else winner.gain_over(baseline)


def _measured(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if event.winner is None:
        return None
    return searched_standing(experiment, trials, event.winner, event.scores)


def _measured_baseline(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if experiment.baseline is None or not event.baseline_scores:
        return None
    return searched_standing(experiment, trials, 0, event.baseline_scores)


def _tested(
    measured: Standing | None, experiment: Experiment, trials: Trials, tests: Sequence[Tested]
) -> Standing | None:
    """What a measured configuration came to on the test split; None where that was not read."""
    read = {test.trial: test for test in tests}
    if measured is None or measured.trial not in read:
        return None
    test = read[measured.trial]
    bounds = bounds_in(experiment.metric, finite(test.scores), trials, test.samples or 0)
    return standing_of(trials, measured.trial, test.scores, bounds)


def _line(event: Confirmed, experiment: Experiment, trials: Trials) -> str:
    """An earlier confirmation, in short."""
    asked = f"{len(event.candidates)} candidates, {event.most_seeds} seeds"
    held = _measured(event, experiment, trials)
    if held is None or held.estimate is None:
        return f"{asked}: no winner"
    scale = scale_of(experiment.metric.name, finite([*event.scores, *event.baseline_scores]))
    span = scale.span(held.estimate.low, held.estimate.high)
    return f"{asked}: trial {held.trial}, {scale.score(held.estimate.mean)} (95 %: {span})"
