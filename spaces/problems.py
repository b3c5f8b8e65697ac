"""Mistakes that a user can make, collected and told in one go."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_LONGEST_VALUE = 150
_LONGEST_PROBLEM = 1500
_LONGEST_LIST = 3000  # of problems, all together
_MOST_COMPARED = 100


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands (``space.lr.low``) and which rule it breaks."""

    path: str
    message: str

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return shortened(printable(text), _LONGEST_PROBLEM)


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
        lines = self._lines()
        if self.source is None:
            return "\n".join(lines)
        source = shortened(printable(self.source), _LONGEST_VALUE)
        if len(self.problems) == 1:
            return f"{source}: {lines[0]}"
        return f"{source}: {len(self.problems)} mistakes\n" + "\n".join(f"  {x}" for x in lines)

    def _lines(self) -> list[str]:
        """A line a problem, and a last one for those that are too many to read."""
        lines: list[str] = []
        for problem in self.problems:
            lines.append(str(problem))
            if sum(map(len, lines)) > _LONGEST_LIST and len(lines) > 1:
                return [*lines[:-1], f"and {len(self.problems) - len(lines) + 1} more"]
        return lines


class RunError(Exception):
    """What a search can't go on without has failed: a disk, a storage; exit code 1, no traceback.

    Nothing is lost: the run can be resumed once that is mended.
    """


def shown(value: object) -> str:
    """A received value, as a message shows it: as Python writes it, shortened."""
    return shortened(repr(value), _LONGEST_VALUE)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def printable(text: str) -> str:
    """The text with its control characters written out, so that a terminal obeys none of them."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def without_keys(root: str) -> str:
    """A folder or a URI as it may be printed: without keys and options."""
    if "://" not in root:
        return root
    scheme, _, rest = root.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def _are_alike(one: str, other: str) -> bool:
    """Whether two names are the same but for case, or one has the other's first letters: lr."""
    short, long = sorted((one.lower(), other.lower()), key=len)
    words = re.split(r"[_\-\s.]+", long)
    return short == long or (len(words) > 1 and short == "".join(word[:1] for word in words))


def unknown_name(kind: str, name: object, valid: Iterable[str]) -> str:
    """The message for an unknown name: what was received, the nearest valid one, all valid ones."""
    valid = sorted(valid)
    compared = valid if len(valid) <= _MOST_COMPARED else []
    close = difflib.get_close_matches(str(name)[:_LONGEST_VALUE], compared, n=1)
    close = close or [other for other in compared if _are_alike(str(name), other)]
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {shown(name)}{hint}; valid: {', '.join(valid) or 'there is none'}"
