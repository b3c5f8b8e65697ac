"""What a confirmation found: each configuration's figures, the gain, and one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from analysis.configurations import params_key, searched_values
from analysis.estimates import Estimate, difference, estimate, finite
from analysis.events import Confirmed, Tested
from analysis.reruns import Reruns
from analysis.run import RunFolder, open_run
from analysis.scale import Scale, scale_of
from analysis.trials import Trials
from spaces.experiment import Experiment, Metric
from spaces.parameters import Params


@dataclass(frozen=True)
class Standing:
    """A configuration under fresh seeds.

    ``searched``: what the search believed. ``scores``: finite ones; ``lost``: how many seeds
    diverged or failed. ``optimism``: by how much the search made it look better than it is,
    where it trained it to the end.
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
    ``tests``: every reading of the test split, the oldest first. ``later``: how many trials began
    after it; ``earlier``: what other confirmations of this run came to, a line each.
    """

    metric: Metric
    candidates: list[Standing]
    winner: Standing | None
    baseline: Standing | None
    gain: Estimate | None
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

    def role(self, held: Standing) -> str:
        """What became of a candidate: it won, was out of the race early, or raced to the end."""
        if self.winner is not None and held.trial == self.winner.trial:
            return "chosen"
        if held.lost:
            return "lost a seed"
        return "dropped" if len(held.scores) < self.most_seeds else "candidate"

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
            "later_trials": self.later,
            "earlier": self.earlier,
            "winner": None if self.winner is None else self.winner.plain(),
            "baseline": None if self.baseline is None else self.baseline.plain(),
            "gain": None if self.gain is None else self.gain.plain(),
            "candidates": [standing.plain() for standing in self.candidates],
            "seeds": self.most_seeds,
            "tests": [_reading(test) for test in self.tests],
        }


def _line(event: Confirmed, experiment: Experiment) -> str:
    """An earlier confirmation, in short."""
    asked = f"{len(event.candidates)} candidates, {event.most_seeds} seeds"
    found = estimate(finite(event.scores))
    if event.winner is None or found is None:
        return f"{asked}: no winner"
    scale = scale_of(experiment.metric.name, finite([*event.scores, *event.baseline_scores]))
    score = f"{scale.score(found.mean)} ± {scale.width(found.half)}"
    return f"{asked}: trial {event.winner}, {score}"


def figures_of(held: Standing, scale: Scale) -> list[str]:
    """Seeds, mean, SE, interval, searched score and optimism of a configuration, as texts."""
    seeds = f"{len(held.scores)}" + (f" ({held.lost} lost)" if held.lost else "")
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
        later=len(trials) - trials.confirmed_after,
        earlier=[_line(held, experiment) for held in reruns.confirmed[:-1]],
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
    metric, params = experiment.metric, trials.by_number[number].params
    held = searched_values(trials, metric).get(params_key(params))
    searched = None if held is None else held.value
    found = estimate(finite(scores))
    optimism = None
    if found is not None and held is not None and searched is not None and held.is_of_end:
        optimism = searched - found.mean if metric.mode == "max" else found.mean - searched
    return Standing(
        trial=number,
        params=params,
        searched=searched,
        scores=finite(scores),
        lost=len(scores) - len(finite(scores)),
        estimate=found,
        optimism=optimism,
    )


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
    winner, scale = found.winner, found.scale
    if winner is None:
        return "Not confirmed: each candidate diverged or failed under some seed"
    if winner.lost or winner.estimate is None:
        return f"Not confirmed: {_lost(winner)}"
    half = winner.estimate.half
    score = f"{scale.score(winner.estimate.mean)} ± {scale.width(half)}"
    parts = [f"{score} (validation, {winner.estimate.n} seeds)"]
    if not scale.is_share:
        parts[0] = f"{found.metric.name} {parts[0]}"
    test = next((t for t in reversed(found.tests) if t.trial == winner.trial), None)
    tested = None if test is None else estimate(finite(test.scores))
    if tested is not None:
        parts.append(f"{scale.score(tested.mean)} on test")
    return f"{_verdict(found)}{', '.join(parts)}{_gained(found)}"


def _lost(held: Standing) -> str:
    return f"{held.lost} of {len(held.scores) + held.lost} trainings diverged or failed"


def _verdict(found: Confirmation) -> str:
    if found.baseline is None or found.gain is None or found.gain.low > 0:
        return "Confirmed: "
    if found.gain.high < 0:
        return "Worse than the baseline: "
    return "Not shown to be better than the baseline: "


def _gained(found: Confirmation) -> str:
    baseline, gain, scale = found.baseline, found.gain, found.scale
    if baseline is None:
        return ""
    if gain is None:
        return f"; of the baseline {_lost(baseline)}, so there is no gain to tell"
    by = f"{scale.width(abs(gain.mean))}{scale.unit} ± {scale.width(gain.half)}"
    compared = f"; {by} {'better' if gain.mean >= 0 else 'worse'} than the baseline"
    return f"{compared}, of which {_lost(baseline)}" if baseline.lost else compared
