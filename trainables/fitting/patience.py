"""A training that ends by itself, when it has not become better for some epochs."""

from __future__ import annotations

import math
from typing import Any

from spaces.metric import Metric


class Patience:
    """Counts the epochs since the best value of a metric.

    Args:
        epochs: so many without a better value are too many; None: none are.
        metric: of the search.
    """

    def __init__(self, epochs: int | None, metric: Metric) -> None:
        self._epochs = epochs
        self._metric = metric
        self._best = math.nan
        self._waited = 0

    @property
    def is_spent(self) -> bool:
        """Whether the training ends."""
        return self._epochs is not None and self._waited >= self._epochs

    def see(self, value: float) -> None:
        """Take in the value of an epoch; one that is not finite is never better."""
        if self._metric.cost(value) < self._metric.cost(self._best):
            self._best, self._waited = value, 0
        else:
            self._waited += 1

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, and the epochs since."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave."""
        self._best, self._waited = state["best"], state["waited"]
