"""Why trials diverged or failed, in a line, and how many for the same reason."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from analysis.record.events import State
from analysis.record.trials import Trial

NO_REASON = "no reason was recorded"


class FailedFor(NamedTuple):
    """The trials that ended in one state for one reason, in the order of their numbers."""

    state: State
    reason: str
    trials: list[Trial]


def failures_by_reason(trials: Iterable[Trial]) -> list[FailedFor]:
    """The trials that diverged or failed, by state and reason; the most frequent first."""
    found: dict[tuple[State, str], list[Trial]] = {}
    for trial in trials:
        if trial.state in ("diverged", "failed"):
            found.setdefault((trial.state, reason_of(trial)), []).append(trial)
    reasons = [FailedFor(state, reason, held) for (state, reason), held in found.items()]
    return sorted(reasons, key=lambda entry: -len(entry.trials))


def reason_of(trial: Trial) -> str:
    """Why a trial diverged or failed. (Earlier versions recorded it of failed trials only.)"""
    if trial.reason:
        return last_line(trial.reason)
    if trial.state != "diverged" or not trial.reports:
        return NO_REASON
    metrics = trial.reports[-1].metrics.items()
    names = [name for name, value in metrics if not math.isfinite(value)]
    return f"{', '.join(names)} not finite" if names else "a loss exploded"


def last_line(reason: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = reason.strip().splitlines()
    return lines[-1].strip() if lines else NO_REASON
