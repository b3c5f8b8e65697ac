"""Why trials were lost, in a line, and how many for the same reason."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from analysis.record.events import State
from analysis.record.trials import Trial

NO_REASON = "no reason was recorded"


class LostFor(NamedTuple):
    """The trials that ended in one state for one reason, in the order of their numbers."""

    state: State
    reason: str
    trials: list[Trial]


def lost_by_reason(trials: Iterable[Trial]) -> list[LostFor]:
    """The trials that diverged or failed, by state and reason; the most frequent first."""
    found: dict[tuple[State, str], list[Trial]] = {}
    for trial in trials:
        if trial.state in ("diverged", "failed"):
            found.setdefault((trial.state, why_lost(trial)), []).append(trial)
    lost = [LostFor(state, reason, held) for (state, reason), held in found.items()]
    return sorted(lost, key=lambda entry: -len(entry.trials))


def why_lost(trial: Trial) -> str:
    """Why a trial was lost, in a line. (Runs of earlier versions say it of failed trials only.)"""
    if trial.reason:
        return last_line(trial.reason)
    if trial.state != "diverged" or not trial.reports:
        return NO_REASON
    metrics = trial.reports[-1].metrics.items()
    lost = [name for name, value in metrics if not math.isfinite(value)]
    return f"{', '.join(lost)} not finite" if lost else "a loss exploded"


def last_line(reason: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = reason.strip().splitlines()
    return lines[-1].strip() if lines else NO_REASON
