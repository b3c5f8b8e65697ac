"""What a search spends its time on, and who trains it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.transport import ray_seconds

_POINTS = 101  # at which the time for a proposal is looked at


@dataclass(frozen=True)
class Range:
    """Between what something lies, and what is typical."""

    low: float
    typical: float
    high: float


def range_of(values: Iterable[float]) -> Range:
    """The lowest, the median and the highest of some values."""
    ranked = sorted(values)
    return Range(ranked[0], statistics.median(ranked), ranked[-1])


@dataclass(frozen=True)
class Together:
    """Many configurations trained as one model: ``seconds`` for an epoch of all ``lanes``."""

    lanes: int
    seconds: float


@dataclass(frozen=True)
class Costs:
    """What was measured, in seconds and bytes.

    ``baseline``: an epoch of the baseline; ``epochs``: epochs of configurations of the space, one
    of which each trial is taken to be; ``together``: of many as one model, None where trials are
    trained one by one; ``beginning``: what a trial takes beside its epochs; ``proposals``: what the
    driver takes for a proposal, by the number of trials before it; ``report``: what the driver
    takes for a report while the worker waits; ``opening``, ``closing``: what comes before the first
    trial, and after the last. ``checkpoint_bytes``: of one of a trial's; ``run_bytes``: of journal
    and TensorBoard files, for each report.
    """

    baseline: float
    epochs: Sequence[float]
    together: Together | None = None
    beginning: float = 0.0
    proposals: Sequence[tuple[int, float]] = ((0, 0.0),)
    report: float = 0.0
    opening: float = 0.0
    closing: float = 0.0
    checkpoint_bytes: float = 0.0
    run_bytes: float = 0.0

    def proposal(self, trials: float) -> float:
        """Seconds for a proposal when there are so many trials."""
        counts, seconds = zip(*self.proposals, strict=True)
        return float(np.interp(trials, counts, seconds))

    def of_proposals(self, trials: float) -> float:
        """Seconds for the proposals of so many trials, all together."""
        counts = np.linspace(0, trials, _POINTS)
        return trials * statistics.fmean(map(self.proposal, counts.tolist()))

    def of_round(self, epochs: Sequence[float]) -> float:
        """Seconds for an epoch of the trials that a worker has.

        Args:
            epochs: seconds that each takes by itself.
        """
        if self.together is None or len(epochs) == 1:
            return sum(epochs)
        alone = sum(epochs) / len(epochs)
        share = (len(epochs) - 1) / (self.together.lanes - 1)
        return alone + share * (self.together.seconds - alone)

    def on_ray(self) -> Costs:
        """The same where Ray starts the processes that train."""
        return replace(
            self,
            opening=self.opening + ray_seconds.START,
            closing=self.closing + ray_seconds.END,
            beginning=self.beginning + ray_seconds.TRIAL,
            report=self.report + ray_seconds.REPORT,
        )


@dataclass(frozen=True)
class Crew:
    """``workers``: processes that train at the same time; ``lanes``: trials in each of them."""

    workers: int
    lanes: int = 1
