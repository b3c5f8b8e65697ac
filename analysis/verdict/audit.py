"""What an audit of stopped trials found."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from analysis.display.numbers import fraction, percent
from analysis.display.scale import Scale

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
class Hindsight:
    """What an audit found.

    Regret is by how much the best of all would have been better than the best found, had nobody
    been stopped.

    Args:
        stopped: how many trials were.
        audited: how many of them were trained to the end.
        best: the best trial of the run.
        beating: the audited ones that ended better than it, the best first.
        regret: as these show it, a lower bound; None where there are none.
        chance: that one of the others would have ended better, too; None where all were audited.
        bound: an upper bound of the regret, 95 %.
        rungs: how well each foretells the end.
        epochs: that the search trained.
        epochs_to_the_end: what it would have, had nobody been stopped.
        scale: how scores are written.
    """

    stopped: int
    audited: int
    best: int
    beating: list[int]
    regret: float | None
    chance: float | None
    bound: float
    rungs: list[RungCorrelation]
    epochs: int
    epochs_to_the_end: int
    scale: Scale

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        saved = percent(1 - self.epochs / self.epochs_to_the_end)
        return [
            f"{len(self.beating)} of {self.audited} stopped trials that were trained to the end "
            f"beat the best of the run (trial {self.best})",
            *self._others,
            *self._regret,
            f"epochs: {self.epochs} instead of {self.epochs_to_the_end}, {saved} saved",
            "each of these is one training with one seed: a small lead may be noise, see "
            "shoal confirm",
        ]

    @property
    def _others(self) -> list[str]:
        if self.chance is None:
            return []
        others = self.stopped - self.audited
        return [
            f"the chance that any of the other {others} stopped trials would have: "
            f"{percent(self.chance)}"
        ]

    @property
    def _regret(self) -> list[str]:
        shown = []
        if self.regret is not None:
            shown.append(
                f"regret: stopping lost {self._by(self.regret)} at least, for trial "
                f"{self.beating[0]} ended so much better than the best of the run"
            )
        if self.chance is None:
            return shown or ["regret: none, for every stopped trial was trained to the end"]
        return [*shown, f"upper bound of the regret (95 %): {self._by(self.bound)}"]

    def _by(self, width: float) -> str:
        return f"{self.scale.width(width)}{self.scale.unit}"

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
        del found["scale"]
        for rung in found["rungs"]:
            figures = rung["correlation"]
            rung["correlation"] = {k: v if math.isfinite(v) else None for k, v in figures.items()}
        return found
