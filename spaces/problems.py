"""Mistakes that a user can make, collected and told in one go."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands (``space.lr.low``) and which rule it breaks."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class InputError(ValueError):
    """A mistake in a file, a flag or the surroundings; the command line turns it into exit code 2.

    Args:
        problems: one message, or every problem that was found.
        source: the file or flag in which they stand.
    """

    def __init__(self, problems: str | Sequence[Problem], source: str | None = None) -> None:
        if isinstance(problems, str):
            problems = [Problem("", problems)]
        self.problems = tuple(problems)
        self.source = source
        super().__init__(self.problems, source)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.source is None:
            return "\n".join(lines)
        if len(lines) == 1:
            return f"{self.source}: {lines[0]}"
        return f"{self.source}: {len(lines)} mistakes\n" + "\n".join(f"  {line}" for line in lines)


class RunError(Exception):
    """What a search can't go on without has failed: a disk, a storage; exit code 1, no traceback.

    Nothing is lost: the run can be resumed once that is mended.
    """


def unknown_name(kind: str, name: object, valid: Iterable[str]) -> str:
    """The message for an unknown name: what was received, the nearest valid one, all valid ones."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(name), valid, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {name!r}{hint}; valid: {', '.join(valid)}"
