"""The rungs, and the ASHA rule: the same arrivals in the same order give the same decisions."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field

from analysis.record.events import Decision
from spaces.metric import Metric
from spaces.scheduler import Scheduler


@dataclass
class Rung:
    """The arrivals at one epoch, each as (cost, trial number): smaller is better.

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
    are not finite rank worst. With the scheduler freeze_thaw every trial is paused at each rung.

    Args:
        scheduler: the rule's numbers.
        metric: says which values are better.
    """

    def __init__(self, scheduler: Scheduler, metric: Metric) -> None:
        self._pauses = scheduler.name == "freeze_thaw"
        self._factor = scheduler.reduction_factor
        self._window = scheduler.window
        self._metric = metric
        self.by_epoch = {epoch: Rung(epoch) for epoch in scheduler.rung_epochs}

    def decide(self, trial: int, epoch: int, value: float) -> Decision:
        """Whether a trial that arrives at an epoch goes on; nothing is changed.

        Args:
            trial: its number.
            epoch: the epoch that it ended; where no rung stands, it goes on.
            value: its metric there.
        """
        rung = self.by_epoch.get(epoch)
        if rung is None:
            return "continue"
        if self._pauses:
            return "pause"
        entry = self._entry(trial, value)
        leaving = self._leaving(rung)
        arrivals = len(rung.ranked) + 1 - (leaving is not None)
        place = bisect_left(rung.ranked, entry) - (leaving is not None and leaving < entry)
        is_out = arrivals >= self._factor and place >= arrivals // self._factor
        return "stop" if is_out else "continue"

    def arrive(self, trial: int, epoch: int, value: float) -> None:
        """Count the arrival of a trial at an epoch; as ``decide``."""
        rung = self.by_epoch.get(epoch)
        if rung is None:
            return
        rung.entered += 1
        rung.passed += self.decide(trial, epoch, value) == "continue"
        if (leaving := self._leaving(rung)) is not None:
            rung.recent.popleft()
            del rung.ranked[bisect_left(rung.ranked, leaving)]
        rung.recent.append(self._entry(trial, value))
        insort(rung.ranked, rung.recent[-1])

    def promote(self, epoch: int) -> None:
        """Count that a trial that waited at an epoch goes on."""
        self.by_epoch[epoch].passed += 1

    def _entry(self, trial: int, value: float) -> tuple[float, int]:
        return self._metric.cost(value), trial

    def _leaving(self, rung: Rung) -> tuple[float, int] | None:
        """The arrival that the next one pushes out of the window."""
        is_full = self._window is not None and len(rung.recent) >= self._window
        return rung.recent[0] if is_full else None
