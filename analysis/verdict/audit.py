"""What an audit of stopped trials found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.display.numbers import fraction, percent
from analysis.display.plain import plain
from analysis.stats.intervals import Interval

RUNG_COLUMNS = ("rung", "trials", "rank correlation with the end", "95 %")


@dataclass(frozen=True)
class RungCorrelation:
    """How well the order at a rung predicts that at the end, over ``n`` trials (Spearman)."""

    epoch: int
    n: int
    correlation: Interval


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Args:
        stopped: how many trials were.
        audited: how many of them were trained to the end.
        best: the best trial of the run.
        beating: the audited ones that ended better than it, the best first.
        rungs: how well each predicts the end.
        epochs: that the search trained.
        epochs_to_the_end: what it would have trained, had nobody been stopped.
    """

    stopped: int
    audited: int
    best: int
    beating: list[int]
    rungs: list[RungCorrelation]
    epochs: int
    epochs_to_the_end: int

    @property
    def sentences(self) -> list[str]:
        """What was found, in words."""
        saved = percent(1 - self.epochs / self.epochs_to_the_end)
        return [
            f"{len(self.beating)} of {self.audited} stopped trials that were trained to the end "
            f"beat the best of the run (trial {self.best})",
            f"epochs: {self.epochs} instead of {self.epochs_to_the_end}, {saved} saved",
            "each of these is one training with one seed: a small lead may be noise, see "
            "shoal confirm",
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
        found: dict[str, Any] = plain(self)
        return found
