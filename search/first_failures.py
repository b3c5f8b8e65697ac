"""The failures of a session before anything has worked: of the trials, or of what trains them?"""

from __future__ import annotations

import re

from analysis.reasons import last_line
from search.trainings import Trainings
from spaces.problems import RunError

ALIKE = 3  # trials that fail in the same way, and none has reported: so would all the others
_NUMBER = re.compile(r"\d[\d.]*(?:e[-+]?\d+)?", re.IGNORECASE)


class FirstFailures:
    """Holds failures back until a trial has reported in this session, and ends what is hopeless.

    A file that is missing fails every trial in turn. None of these is recorded then: they are
    unfinished, and a resume begins them again once the file is there.

    Args:
        trainings: whose failures they are.
    """

    def __init__(self, trainings: Trainings) -> None:
        self._trainings = trainings
        self._held: dict[int, str] = {}
        self._is_over = trainings.keeps_going

    def take(self, number: int, reason: str) -> None:
        """Record a failure, or hold it back.

        Raises:
            RunError: when it is the baseline's, before its first report, or the last of so many
                alike that the others would fail, too.
        """
        trial = self._trainings.trials.by_number[number]
        if self._trainings.is_baseline(number) and not trial.reports:
            self._end(f"trial {number}, the baseline, failed before its first report", reason)
        if self._is_over:
            self._trainings.end(number, "failed", reason)
            return
        self._held[number] = reason
        alike = [held for held in self._held.values() if _kind(held) == _kind(reason)]
        if len(alike) >= ALIKE:
            self._end(f"the first {ALIKE} trials failed in the same way", reason)

    def record(self) -> None:
        """Record what is held: a trial has reported, or the searching ends in good order."""
        self._is_over = True
        for number, reason in self._held.items():
            self._trainings.end(number, "failed", reason)
        self._held.clear()

    def _end(self, what: str, reason: str) -> None:
        if not self._trainings.keeps_going:
            way_out = "--keep-going searches on all the same"
            raise RunError(f"{what}, so the search ends:\n{reason.rstrip()}\n{way_out}")


def _kind(reason: str) -> str:
    """What went wrong, without the numbers, which differ from trial to trial."""
    return _NUMBER.sub("#", last_line(reason))
