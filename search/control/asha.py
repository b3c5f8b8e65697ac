"""The ASHA rule, pure: the same arrivals in the same order give the same decisions."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

from analysis.record.events import Decision
from spaces.experiment import Metric, Scheduler


@dataclass
class Rung:
    """The arrivals at one epoch, each as (badness, trial number): smaller is better.

    ``recent`` holds those that are compared, in the order of their arrival; ``ranked`` the same,
    sorted. ``entered`` and ``passed`` count over all.
    """

    epoch: int
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    ranked: list[tuple[float, int]] = field(default_factory=list)
    entered: int = 0
    passed: int = 0


class Rungs:
    """Asynchronous successive halving, its stopping variant (Li et al., arXiv 1810.05934).

    Rungs stand at ``min_epochs * reduction_factor ** k``, below max_epochs. A trial that arrives at
    one goes on when it is among the best ``n // reduction_factor`` of the n arrivals so far, itself
    included (with a ``window``, of the latest so many). A rung with fewer than
    ``reduction_factor`` arrivals stops nobody. Ties go to the lower trial number; values that
    are not finite rank worst.

    Args:
        scheduler: the rule's numbers.
        metric: says which values are better.
    """

    def __init__(self, scheduler: Scheduler, metric: Metric) -> None:
        self._factor = scheduler.reduction_factor
        self._window = scheduler.window
        self._sign = 1.0 if metric.mode == "min" else -1.0
        self.by_epoch = {epoch: Rung(epoch) for epoch in scheduler.rung_epochs}

    def arrive(self, trial: int, epoch: int, value: float) -> Decision:
        """Take the arrival of a trial at an epoch in, and decide whether it goes on.

        Args:
            trial: its number.
            epoch: the epoch that it ended; where no rung stands, it goes on.
            value: its metric there.
        """
        rung = self.by_epoch.get(epoch)
        if rung is None:
            return "continue"
        entry = (self._sign * value if math.isfinite(value) else math.inf, trial)
        rung.entered += 1
        rung.recent.append(entry)
        insort(rung.ranked, entry)
        if self._window is not None and len(rung.recent) > self._window:
            oldest = rung.recent.popleft()
            del rung.ranked[bisect_left(rung.ranked, oldest)]
        arrivals = len(rung.ranked)
        place = bisect_left(rung.ranked, entry)
        if arrivals >= self._factor and place >= arrivals // self._factor:
            return "stop"
        rung.passed += 1
        return "continue"
