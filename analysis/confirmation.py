"""What a confirmation found: each configuration's figures, the gain, and one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.estimates import Estimate, difference, estimate, finite
from analysis.events import Confirmed, Tested
from analysis.reruns import Reruns
from analysis.trials import Trial, Trials
from spaces.experiment import Experiment, Metric
from spaces.parameters import Params


@dataclass(frozen=True)
class Standing:
    """A configuration under fresh seeds.

    ``searched``: what the search believed. ``scores``: finite ones; ``lost``: how many seeds
    diverged or failed. ``optimism``: by how much the search made it look better than it is.
    """

    trial: int
    params: Params
    searched: float | None
    scores: list[float]
    lost: int
    estimate: Estimate | None
    optimism: float | None

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
            "scores": self.scores,
        }


@dataclass(frozen=True)
class Confirmation:
    """What ``shoal confirm`` found last.

    ``candidates`` are chosen by these scores; ``winner`` and ``baseline`` are measured under seeds
    that took no part in the choice. ``gain``: by how much the winner is better than the baseline.
    ``tests``: every reading of the test split, the oldest first.
    """

    metric: Metric
    candidates: list[Standing]
    winner: Standing | None
    baseline: Standing | None
    gain: Estimate | None
    tests: list[Tested]
    most_seeds: int

    @property
    def sentence(self) -> str:
        """The finding, as one would say it."""
        return _sentence(self)

    def plain(self) -> dict[str, Any]:
        """What ``shoal confirm --json`` prints, but for the run."""
        return {
            "metric": self.metric.name,
            "mode": self.metric.mode,
            "sentence": self.sentence,
            "winner": None if self.winner is None else self.winner.plain(),
            "baseline": None if self.baseline is None else self.baseline.plain(),
            "gain": None if self.gain is None else self.gain.plain(),
            "candidates": [standing.plain() for standing in self.candidates],
            "seeds": self.most_seeds,
            "tests": [_reading(test) for test in self.tests],
        }


def confirmation_of(experiment: Experiment, trials: Trials, reruns: Reruns) -> Confirmation | None:
    """What the last confirmation of a run found; None where there was none."""
    if not reruns.confirmed:
        return None
    event = reruns.confirmed[-1]
    winner = _measured(event, experiment, trials)
    baseline = _measured_baseline(event, experiment, trials)
    gain = None
    if winner is not None and baseline is not None:
        pair = (winner.scores, baseline.scores)
        gain = difference(*pair if experiment.metric.mode == "max" else reversed(pair))
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
        gain=gain,
        tests=reruns.tested,
        most_seeds=event.most_seeds,
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
    searched = searched_value(trials, trials.by_number[number], experiment)
    found = estimate(finite(scores))
    optimism = None
    if found is not None and searched is not None:
        optimism = searched - found.mean if metric.mode == "max" else found.mean - searched
    return Standing(
        trial=number,
        params=trials.by_number[number].params,
        searched=searched,
        scores=finite(scores),
        lost=len(scores) - len(finite(scores)),
        estimate=found,
        optimism=optimism,
    )


def searched_value(trials: Trials, trial: Trial, experiment: Experiment) -> float | None:
    """What the search believed of a configuration: the mean over its repeats that have a value."""
    first = trial.number - trial.number % experiment.repeats
    repeats = [trials.by_number.get(first + place) for place in range(experiment.repeats)]
    values = [repeat.value(experiment.metric) for repeat in repeats if repeat is not None]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _measured(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if event.winner is None:
        return None
    return standing(experiment, trials, event.winner, event.scores)


def _measured_baseline(event: Confirmed, experiment: Experiment, trials: Trials) -> Standing | None:
    if experiment.baseline is None or not event.baseline_scores:
        return None
    return standing(experiment, trials, 0, event.baseline_scores)


def _reading(test: Tested) -> dict[str, Any]:
    found = estimate(finite(test.scores))
    scores = [score if math.isfinite(score) else None for score in test.scores]
    return {
        "trial": test.trial,
        "metric": test.metric,
        "mean": None if found is None else found.mean,
        "se": None if found is None else found.se,
        "scores": scores,
        "time": test.time,
    }


def _sentence(found: Confirmation) -> str:
    winner = found.winner
    if winner is None:
        return "Not confirmed: each candidate diverged or failed under some seed."
    if winner.lost or winner.estimate is None:
        seeds = len(winner.scores) + winner.lost
        return f"Not confirmed: {winner.lost} of {seeds} trainings diverged or failed."
    name, half = found.metric.name, winner.estimate.half
    score = f"{show_score(name, winner.estimate.mean)} ± {show_width(name, half)}"
    parts = [f"{score} (validation, {winner.estimate.n} seeds)"]
    if not _is_share(name, winner.estimate.mean):
        parts[0] = f"{name} {parts[0]}"
    test = next((t for t in reversed(found.tests) if t.trial == winner.trial), None)
    tested = None if test is None else estimate(finite(test.scores))
    if test is not None and tested is not None:
        parts.append(f"{show_score(test.metric, tested.mean)} on test")
    return f"{_verdict(found)}{', '.join(parts)}{_gained(found)}"


def _verdict(found: Confirmation) -> str:
    if found.baseline is None or (found.gain is not None and found.gain.low > 0):
        return "Confirmed: "
    if found.gain is not None and found.gain.high < 0:
        return "Worse than the baseline: "
    return "Not shown to be better than the baseline: "


def _gained(found: Confirmation) -> str:
    baseline, gain, name = found.baseline, found.gain, found.metric.name
    if baseline is None:
        return ""
    if gain is None:
        seeds = len(baseline.scores) + baseline.lost
        return f"; the baseline diverged or failed under {baseline.lost} of {seeds} seeds"
    by = f"{show_width(name, abs(gain.mean))}{unit_of(name)} ± {show_width(name, gain.half)}"
    return f"; {by} {'better' if gain.mean >= 0 else 'worse'} than the baseline"


def _is_share(name: str, value: float) -> bool:
    """Whether a metric is an accuracy as ours are, from 0 to 1."""
    return name.endswith("accuracy") and 0.0 <= value <= 1.0


def unit_of(name: str) -> str:
    """What differences of a metric are counted in."""
    return " points" if name.endswith("accuracy") else ""


def show_score(name: str, value: float) -> str:
    """A score as people read it: an accuracy in per cent, anything else to four digits."""
    return f"{100 * value:.2f} %" if _is_share(name, value) else f"{value:.4g}"


def show_width(name: str, value: float) -> str:
    """A width or a difference of scores: of accuracies in points, of anything else plain."""
    return f"{100 * value:.2f}" if _is_share(name, abs(value)) else f"{value:.2g}"
