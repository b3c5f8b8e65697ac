"""Trials that have not reported for several times as long as their epochs take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LEAST_SECONDS = 60.0  # nobody is told of a shorter silence
MANY_TIMES = 5.0  # as long as the longest epoch that is known
_LONGEST_LOOK = 1.0  # what a driver that was busy itself counts between two looks


class Silence(NamedTuple):
    """A trial that is silent: for how many seconds, and how long an epoch took at most."""

    trial: int
    seconds: float
    usual: float


@dataclass
class _Heard:
    since: float
    longest: float = 0.0
    is_told: bool = False


class HungTrials:
    """Listens for reports.

    Its clock is that of the looks: time in which the driver did not look is not held against the
    trials, whose reports it did not take either.
    """

    def __init__(self) -> None:
        self._clock = 0.0
        self._looked: float | None = None
        self._live: dict[int, _Heard] = {}
        self._longest = 0.0  # epoch of all trials

    def begin(self, trial: int) -> None:
        """A process takes a trial."""
        self._live[trial] = _Heard(self._clock)

    def hear(self, trial: int) -> None:
        """A trial reports an epoch."""
        heard = self._live.setdefault(trial, _Heard(self._clock))
        seconds = self._clock - heard.since
        longest = max(heard.longest, seconds)
        self._longest = max(self._longest, seconds)
        self._live[trial] = _Heard(self._clock, longest)

    def forget(self, trial: int) -> None:
        """A trial has ended, or its process died."""
        self._live.pop(trial, None)

    def look(self, now: float) -> list[Silence]:
        """The trials that are silent for too long, each once for a silence.

        Args:
            now: seconds, of a clock that only goes forward.
        """
        if self._looked is not None:
            self._clock += min(max(0.0, now - self._looked), _LONGEST_LOOK)
        self._looked = now
        found = []
        for trial, heard in self._live.items():
            usual, seconds = heard.longest or self._longest, self._clock - heard.since
            if usual and not heard.is_told and seconds > max(LEAST_SECONDS, MANY_TIMES * usual):
                heard.is_told = True
                found.append(Silence(trial, seconds, usual))
        return found
