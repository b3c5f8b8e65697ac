"""Made-up values of trials, of which only the order counts: it decides who is stopped.

Each trial has a height, a normal number, and its reports are that plus noise, which becomes less
from epoch to epoch. Where the sampler learns, later trials are higher, so more of them go on. By
how much differs from search to search: from not at all to so much that the range of epochs holds
those of real searches (docs/benchmarks.md, "What a plan tells").
"""

from __future__ import annotations

import math

import numpy as np

from spaces.experiment import Experiment

_NOISE = 1.0  # of a value after the first epoch, in standard deviations of the heights
_MOST_LEARNED = 5.0  # by so many of these heights rise over a search that learns the most
_HALF_LEARNED = 10  # trials, in which they rise by half of what they do
_MIDDLE = 100.0  # of all values: far from 0, near which a loss could seem to explode


class Curves:
    """What the trials of a simulated search report.

    Args:
        experiment: says which values are better, and whether its sampler learns.
        random: draws them.
        learning: from 0 to 1, how much a sampler that learns does so.
    """

    def __init__(
        self, experiment: Experiment, random: np.random.Generator, learning: float = 0.5
    ) -> None:
        self._metric = experiment.metric
        self._random = random
        learns = experiment.sampler.learns and experiment.scheduler.name != "freeze_thaw"
        self._learned = learning * _MOST_LEARNED if learns else 0.0
        self._heights: dict[int, float] = {}

    def metrics(self, trial: int, epoch: int) -> dict[str, float]:
        """What a trial reports after an epoch."""
        if trial not in self._heights:
            rise = self._learned * trial / (trial + _HALF_LEARNED)
            self._heights[trial] = rise + self._random.standard_normal()
        noise = _NOISE * self._random.standard_normal() / math.sqrt(epoch)
        better = self._heights[trial] + noise
        value = _MIDDLE - better if self._metric.is_minimized else _MIDDLE + better
        return {self._metric.name: value}
