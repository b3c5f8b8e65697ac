"""Landscapes where early epochs mislead, made from modelled ones: the last epoch stays as it is."""

from __future__ import annotations

import numpy as np

from benchmarks.efficiency.landscape import Array, Modelled, logit, unit
from spaces.parameters import Params

LONGEST = 8  # epochs of warm-up
HANDICAP, SHRINKS = 4.0, 6.0  # of the lead at the end; the epochs in which 63 % of it are gone


class WarmUp(Modelled):
    """A configuration learns little in its first epochs, 0 to 8, and catches up until the last.

    Its weight decay says in how many: early values compare warm-ups more than configurations.
    """

    def expected(self, params: Params) -> Array:
        curve = super().expected(params)
        decay = self.experiment.search_space.distributions["weight_decay"]
        waits = LONGEST * float(unit(decay, params["weight_decay"])[0])
        epochs = np.arange(1, self.epochs + 1)
        trained = (epochs - waits) * self.epochs / (self.epochs - waits)
        lowest = min(float(logit(self.table.curves[:, 0]).min()), float(curve.min()))
        start = lowest + 0.1 * (curve[0] - lowest)
        return np.interp(trained, [-LONGEST * 2.0, 0.0, *epochs], [lowest, start, *curve])


class SlowStarters(Modelled):
    """Of configurations better than the median, the better ones start worse, and win."""

    def expected(self, params: Params) -> Array:
        curve = super().expected(params)
        ahead = max(float(curve[-1] - self.table.medians[-1]), 0.0)
        left = np.exp(-np.arange(self.epochs) / SHRINKS)
        left[-1] = 0.0
        return curve - HANDICAP * ahead * left
