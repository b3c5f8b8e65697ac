"""A configuration under fresh seeds: its scores and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.insight.configurations import params_key, searched_values
from analysis.record.trials import Trials
from analysis.stats.intervals import Estimate, difference, estimate, finite
from analysis.stats.score_range import Bounds, bounds_in, collapsed, sound
from spaces.experiment import Experiment
from spaces.parameters import Params


@dataclass(frozen=True)
class Standing:
    """A configuration under fresh seeds, on the validation split or on the test split.

    ``searched``: what the search believed. ``scores``: finite ones; ``failed``: how many seeds
    diverged or failed. ``collapsed``: those of the scores that are far below the others; the
    estimate is of the rest. ``optimism``: by how much the search made it look better than it is,
    where it trained it to the end. ``bounds``: what its scores can be. ``settings``: what a space
    that is a function returned beside the ``params``.
    """

    trial: int
    params: Params
    searched: float | None
    scores: list[float]
    failed: int
    collapsed: list[float]
    estimate: Estimate | None
    optimism: float | None
    bounds: Bounds
    settings: dict[str, Any] = field(default_factory=dict)

    def gain_over(self, other: Standing) -> Estimate | None:
        """By how much it is better than another; None where a score or two say too little."""
        a, b = (sound(held.scores, held.bounds) for held in (self, other))
        return difference(a, b, self.bounds, other.bounds)

    @property
    def failures(self) -> str:
        """How many seeds came to nothing; an empty text where none did."""
        count = len(self.scores) + self.failed
        parts = [f"{self.failed} of {count} trainings diverged or failed"] if self.failed else []
        if self.collapsed:
            parts.append(f"{len(self.collapsed)} of {count} seeds collapsed")
        return " and ".join(parts)

    def plain(self) -> dict[str, Any]:
        """The figures as ``--json`` prints them; None for each where there are too few scores."""
        found = dict.fromkeys(("n", "mean", "se", "low", "high"))
        return {
            "trial": self.trial,
            "params": self.params,
            **({"settings": self.settings} if self.settings else {}),
            "searched": self.searched,
            **(found | {"n": len(self.scores)} if self.estimate is None else self.estimate.plain()),
            "optimism": self.optimism,
            "lost": self.failed,
            "collapsed": len(self.collapsed),
            "scores": self.scores,
        }


def searched_standing(
    experiment: Experiment, trials: Trials, number: int, scores: Sequence[float]
) -> Standing:
    """The figures of one configuration.

    Args:
        experiment: the run's.
        trials: its trials.
        number: the trial whose configuration it is.
        scores: under fresh seeds, NaN for one that diverged or failed.
    """
    metric = experiment.metric
    held = searched_values(trials, metric).get(params_key(trials.by_number[number].params))
    searched = None if held is None else held.value
    found = standing_of(trials, number, scores, bounds_in(metric, finite(scores), trials))
    if found.estimate is None or searched is None or held is None or not held.is_of_end:
        return replace(found, searched=searched)
    optimism = metric.gain(searched, found.estimate.mean)
    return replace(found, searched=searched, optimism=optimism)


def standing_of(trials: Trials, number: int, scores: Sequence[float], bounds: Bounds) -> Standing:
    """The same without what the search believed."""
    known = finite(scores)
    return Standing(
        trial=number,
        params=trials.by_number[number].params,
        searched=None,
        scores=known,
        failed=len(scores) - len(known),
        collapsed=collapsed(known, bounds),
        estimate=estimate(sound(known, bounds), bounds),
        optimism=None,
        bounds=bounds,
        settings=trials.by_number[number].settings,
    )
