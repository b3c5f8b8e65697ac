"""Landscapes where early epochs mislead, made from modelled ones: the last epoch stays as it is."""

from __future__ import annotations

import numpy as np

from benchmarks.efficiency.landscape import Modelled, expit, logit, unit
from spaces.parameters import Params

LONGEST = 8  # epochs of warm-up
SHRINKS = 6.0  # epochs, in which two thirds of a wrong order are gone


class WarmUp(Modelled):
    """A configuration learns nothing in its first epochs, 0 to 8, and catches up until the last.

    In how many, its weight decay says: early values compare warm-ups more than configurations.
    """

    def curve(self, params: Params, seed: int) -> list[float]:
        curve = super().curve(params, seed)
        decay = self.experiment.search_space.distributions["weight_decay"]
        waits = round(LONGEST * float(unit(decay, params["weight_decay"])[0]))
        epochs = np.arange(1, self.epochs + 1)
        trained = (epochs - waits) * self.epochs / (self.epochs - waits)
        lowest = float(self.table.curves[:, 0].min())
        return np.interp(trained, [0.0, *epochs], [min(lowest, *curve), *curve]).tolist()


class SlowStarters(Modelled):
    """Of configurations better than the median, the better ones start worse, and win."""

    def curve(self, params: Params, seed: int) -> list[float]:
        logits = logit(np.array(super().curve(params, seed)))
        ahead = max(float(logit(np.array(self.worth(params))) - self._medians[-1]), 0.0)
        left = np.exp(-np.arange(self.epochs) / SHRINKS)
        left[-1] = 0.0
        return expit(logits - 4.0 * ahead * left).tolist()
