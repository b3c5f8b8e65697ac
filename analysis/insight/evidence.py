"""A finding and its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["level", "interaction", "failure"]
ALPHA = 0.05 / 3  # how often a kind of finding may appear where nothing matters; 5 % in all


@dataclass(frozen=True)
class Finding:
    """One sentence that an interval supports.

    Args:
        kind: ``level``: one level of a parameter does better than others; ``interaction``: which
            one does, depends on another parameter; ``failure``: where trials diverged or failed.
        sentence: in plain words, without a full stop.
        parameters: that it is about.
        epoch: at which values were compared; for ``failure`` None.
        n: configurations that the figures come from (for ``failure`` trials).
        figure: what ``value``, ``low`` and ``high`` are.
        value, low, high: the figure of the sentence and its interval.
        miss: how often such an interval may miss its figure; smaller than 0.05, for all that was
            compared has to hold at once.
    """

    kind: Kind
    sentence: str
    parameters: tuple[str, ...]
    epoch: int | None
    n: int
    figure: str
    value: float
    low: float
    high: float
    miss: float
