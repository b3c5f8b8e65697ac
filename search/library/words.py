"""What is wrong, in the words of somebody who calls Shoal from Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from spaces.problems import InputError, Problem, RunError

_ARGUMENTS = {
    "--run": "folder",
    "-o": "folder",
    "--keep-going": "keep_going=True",
    "--strict": "strict=True",
    "--anyway": "anyway=True",
} | {
    f"--{name}": name
    for name in ("address", "code", "epochs", "hours", "seeds", "set", "top", "trial", "trials")
}
_FLAG = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, _ARGUMENTS))})(?![\w-])")
_METRIC = re.compile(r"\bsuch as metric: (\w+)$", re.MULTILINE)
_MODE = re.compile(r"\bsuch as metric: \{name: (.+), mode: (\w+)\}$", re.MULTILINE)
_RESUME = re.compile(r"\bshoal resume (.+)$", re.MULTILINE)


@contextmanager
def pythons_words() -> Iterator[None]:
    """Name arguments instead of flags, and functions instead of commands, in what is raised."""
    try:
        yield
    except InputError as error:
        error.problems = tuple(Problem(p.path, _worded(p.message)) for p in error.problems)
        error.source = None if error.source is None else _worded(error.source)
        raise
    except RunError as error:
        error.args = (_worded(str(error)),)
        raise


def _worded(text: str) -> str:
    """The text with Python's words; lines that are indented are somebody's code."""
    return "\n".join(
        line if line.startswith(" ") else _worded_line(line) for line in text.split("\n")
    )


def _worded_line(line: str) -> str:
    line = _METRIC.sub(r'such as metric="\1"', _FLAG.sub(_argument, line))
    line = _MODE.sub(r'such as metric={"name": "\1", "mode": "\2"}', line)
    return _RESUME.sub(_call, line)


def _argument(found: re.Match[str]) -> str:
    return _ARGUMENTS[found[0]]


def _call(found: re.Match[str]) -> str:
    return f"resume({found[1]!r})"
