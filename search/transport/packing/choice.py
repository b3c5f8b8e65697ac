"""How many trials shall share a GPU, as a function of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analysis.display.numbers import number
from analysis.record.gpu_load import Load

MOST_MEMORY = 0.9  # of the GPU's; the rest is for larger configurations of the space
LEAST_GAIN = 0.05  # more trials must together train so much more
MOST_TRIALS = 32  # CUDA MPS serves 48 processes
_TOO_FEW_CPUS = "the CPUs are enough for no more"


class Choice(NamedTuple):
    """How many trials share a GPU, and why no more."""

    trials: int
    reason: str


def next_number(loads: Sequence[Load], most: int) -> int | None:
    """How many trainings to measure next: twice as many, as long as that promises something.

    Args:
        loads: what was measured, the fewest trainings first.
        most: how many the CPUs allow, and at most ``MOST_TRIALS``.

    Returns:
        Their number; None when enough was measured.
    """
    if not loads:
        return 1 if most > 1 else None
    if not _is_worth_more(loads):
        return None
    doubled = min(2 * loads[-1].trials, most, _fitting(loads, most))
    return doubled if doubled > loads[-1].trials else None


def choose(loads: Sequence[Load], most: int, obstacle: str | None = None) -> Choice:
    """How many trials shall share a GPU.

    Args:
        loads: what was measured, until ``next_number`` gave None, or something came in between.
        most: as for ``next_number``.
        obstacle: what came in between.
    """
    if not loads:
        return Choice(1, obstacle or _TOO_FEW_CPUS)
    last = loads[-1]
    if len(loads) > 1 and not _fits(last):
        return Choice(loads[-2].trials, f"{last.trials} fill over {MOST_MEMORY:.0%} of its memory")
    if len(loads) > 1 and not _is_worth_more(loads):
        gain = last.rate / loads[-2].rate - 1
        little = f"only {gain:.0%} more" if gain >= 0.005 else "no more"
        return Choice(loads[-2].trials, f"{last.trials} together train {little}")
    if obstacle is not None:
        return Choice(last.trials, obstacle)
    if last.trials < most:
        return Choice(last.trials, f"more would fill over {MOST_MEMORY:.0%} of its memory")
    too_many = "more are not tried" if most == MOST_TRIALS else _TOO_FEW_CPUS
    return Choice(last.trials, too_many)


def sentence(choice: Choice, loads: Sequence[Load]) -> str:
    """The choice in a line, with what was measured."""
    share = "one trial has" if choice.trials == 1 else f"{choice.trials} trials share"
    rates = ", ".join(f"{number(load.rate)} with {load.trials}" for load in loads)
    measured = f" (steps or reports a second: {rates})" if loads else ""
    return f"{share} each GPU: {choice.reason}{measured}"


def _is_worth_more(loads: Sequence[Load]) -> bool:
    """Whether the last of the measurements fits, and trains more than the one before."""
    if not _fits(loads[-1]):
        return False
    return len(loads) < 2 or loads[-1].rate >= (1 + LEAST_GAIN) * loads[-2].rate


def _fits(load: Load) -> bool:
    if load.used_bytes is None or load.total_bytes is None:
        return True
    return load.used_bytes <= MOST_MEMORY * load.total_bytes


def _fitting(loads: Sequence[Load], most: int) -> int:
    """How many trainings fit into the memory, if each takes as much as those measured last.

    Of a single measurement, all the memory in use counts as that of the one training.
    """
    last = loads[-1]
    if last.used_bytes is None or last.total_bytes is None:
        return most
    before = loads[-2] if len(loads) > 1 else None
    if before is None or before.used_bytes is None:
        each = last.used_bytes / last.trials
    else:
        each = (last.used_bytes - before.used_bytes) / (last.trials - before.trials)
    room = MOST_MEMORY * last.total_bytes - last.used_bytes
    return most if each <= 0 else last.trials + int(room / each)
