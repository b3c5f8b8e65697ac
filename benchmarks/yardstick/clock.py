"""Which contender runs next, so that all get their turns while the time lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_LEAST_SECONDS = 60.0  # for one of whom nobody knows how long it takes


@dataclass(frozen=True)
class Standing:
    """``done``: its repetitions; ``seconds``: of one, by those before; None: nobody knows yet."""

    done: int
    seconds: float | None


def next_contender(
    standings: Mapping[str, Standing], order: Sequence[str], most: int, left: float
) -> str | None:
    """The contender whose turn it is; None when no more fits.

    They alternate: the one with the fewest repetitions comes first. Once a contender has one, it
    gets another only if all that are quicker can still have ``most``: so a slow one gets fewer.

    Args:
        standings: by contender.
        order: in which those with as many repetitions take turns.
        most: repetitions that each gets where the time allows it.
        left: seconds.
    """
    waiting = [name for name in order if standings[name].done < most]
    for name in sorted(waiting, key=lambda name: standings[name].done):
        mine = standings[name]
        if mine.seconds is None:
            if left >= _LEAST_SECONDS:
                return name
            continue
        quicker = [
            (most - standings[other].done) * seconds
            for other in waiting
            if other != name and (seconds := standings[other].seconds) is not None
            if (seconds, other) < (mine.seconds, name)
        ]
        kept = sum(quicker) if mine.done else 0.0
        if mine.seconds + kept <= left:
            return name
    return None


def turns(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: each begins with another, so that nobody always follows the same."""
    first = round_number % len(names)
    return [*names[first:], *names[:first]]
