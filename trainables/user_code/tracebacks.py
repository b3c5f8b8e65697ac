"""Tracebacks of the user's own code, as the user reads them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

_PACKAGES = ("spaces", "trainables", "analysis", "search")
_OURS = tuple(f"{Path(__file__).parents[2] / package}/" for package in _PACKAGES)


def traceback_of(error: BaseException, is_own_code: bool) -> str:
    """The traceback of an error; in own code without Shoal's frames, where there are others."""
    whole = traceback.TracebackException.from_exception(error)
    for part in _parts(whole) if is_own_code else ():
        others = [frame for frame in part.stack if not frame.filename.startswith(_OURS)]
        if others:
            part.stack = traceback.StackSummary.from_list(others)
    return "".join(whole.format())


def _parts(whole: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An error, those that it came of, and those of a group."""
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        yield part
        others = (part.__cause__, part.__context__, *(part.exceptions or ()))
        waiting += [other for other in others if other is not None]
