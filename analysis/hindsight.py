"""What an audit of stopped trials found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from analysis.numbers import fraction, number, percent

RUNG_COLUMNS = ("rung", "trials", "rank correlation with the end", "95 %")


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RungCorrelation:
    """How well the order at a rung foretells that at the end, over ``n`` trials (Spearman)."""

    epoch: int
    n: int
    correlation: Interval


@dataclass(frozen=True)
class Advice:
    """Another setting of ASHA, replayed on the known curves.

    ``epochs``: as a share of those that the setting of the run took; ``regret``: its mean, against
    ``regret_now``.
    """

    min_epochs: int
    reduction_factor: int
    epochs: float
    regret: float
    regret_now: float

    @property
    def sentence(self) -> str:
        """The advice in words."""
        return (
            f"the data speak for min_epochs: {self.min_epochs}, reduction_factor: "
            f"{self.reduction_factor}: {percent(self.epochs)} of the epochs, and a regret "
            f"of {number(self.regret, 2)} where this setting has {number(self.regret_now, 2)} "
            "(replayed on the known curves)"
        )


@dataclass(frozen=True)
class Hindsight:
    """What an audit found.

    ``beaten``: how many of the ``stopped`` trials would have ended better than the run's best, as
    the ``audited`` ones say; ``regret``: by how much the best of all would have been better than
    the best found, had nobody been stopped.
    """

    stopped: int
    audited: int
    best: int | None
    beating: list[int]
    beaten: Interval
    regret: Interval
    rungs: list[RungCorrelation]
    epochs: int
    epochs_to_the_end: int
    advice: Advice | None

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        beaten = [number(n, 3) for n in (self.beaten.value, self.beaten.low, self.beaten.high)]
        regret = [number(n, 2) for n in (self.regret.value, self.regret.low, self.regret.high)]
        saved = 1 - self.epochs / self.epochs_to_the_end
        return [
            f"{len(self.beating)} of {self.audited} stopped trials that were trained to the end "
            f"beat the best of the run (trial {self.best}); of all {self.stopped} stopped ones "
            f"that makes {beaten[0]} (95 %: {beaten[1]} to {beaten[2]})",
            f"regret: had nobody been stopped, the best would have been better by "
            f"{regret[0]} (95 %: {regret[1]} to {regret[2]})",
            f"epochs: {self.epochs} instead of {self.epochs_to_the_end}, {percent(saved)} saved",
            "each of these is one training with one seed: a small lead may be noise, see "
            "shoal confirm",
            "the data speak for no other min_epochs or reduction_factor"
            if self.advice is None
            else self.advice.sentence,
        ]

    @property
    def rows(self) -> list[tuple[int, int, str, str]]:
        """Of each rung the epoch, the trials, the rank correlation with the end, its interval."""
        return [
            (rung.epoch, rung.n, fraction(r.value), f"{fraction(r.low)} to {fraction(r.high)}")
            for rung in self.rungs
            for r in [rung.correlation]
        ]

    def plain(self) -> dict[str, Any]:
        """The figures as ``--json`` prints them."""
        found = asdict(self)
        for rung in found["rungs"]:
            figures = rung["correlation"]
            rung["correlation"] = {k: v if math.isfinite(v) else None for k, v in figures.items()}
        return found
