"""Running a part of the measurements in a process of its own, and noting what it finds at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_MOST_CHARACTERS = 1000  # of an error


@dataclass(frozen=True)
class Setting:
    """``device``: cuda or cpu; ``is_quick``: tiny sizes, to try the program."""

    device: str
    is_quick: bool

    @property
    def start_method(self) -> str:
        """How processes start: forks are soon there, but CUDA does not survive them."""
        return "fork" if self.device == "cpu" else "spawn"


# of each measurement what it is of, and a call that makes it
Part = Callable[[Setting], Iterator[tuple[Row, Callable[[], Row]]]]


@dataclass(frozen=True)
class Limits:
    """When no more measurements begin, and when a part is stopped, by ``time.monotonic``."""

    begin_none: float
    end: float


def run_part(part: Part, setting: Setting, file: Path, limits: Limits) -> str:
    """Run a part; returns how it ended: ``done``, or why it did not.

    Args:
        part: what to measure.
        setting: how.
        file: for its rows, one JSON object a line, each written as soon as it is there.
        limits: of its time.
    """
    context = multiprocessing.get_context(setting.start_method)
    process = context.Process(target=_record, args=(part, setting, file, limits))
    process.start()
    assert process.pid is not None
    process.join(max(0.0, limits.end - time.monotonic()))
    is_late = process.is_alive()
    process.kill()
    process.join()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # those that it has started, if any are left
    if is_late:
        return "stopped: its time was over"
    return "done" if process.exitcode == 0 else f"failed: its process ended with {process.exitcode}"


def _record(part: Part, setting: Setting, file: Path, limits: Limits) -> None:
    os.setsid()  # it leads the group of its children
    with file.open("w") as lines:

        def write(row: Row) -> None:
            lines.write(json.dumps(row) + "\n")
            lines.flush()

        try:
            for what, measure in part(setting):
                write(what | _outcome(measure, limits))
        except Exception as error:  # of the part itself, between two measurements
            write(_failure(error))
            raise


def _outcome(measure: Callable[[], Row], limits: Limits) -> Row:
    if time.monotonic() > limits.begin_none:
        return {"left_out": "no time was left"}
    try:
        row = measure()
        json.dumps(row, allow_nan=False)
        return row
    except Exception as error:
        return _failure(error)


def _failure(error: Exception) -> Row:
    return {"error": f"{type(error).__name__}: {error}"[:_MOST_CHARACTERS]}


def read_rows(file: Path) -> list[Row]:
    """The rows of a part; a last one that was cut off is left out."""
    if not file.exists():
        return []
    rows = []
    for line in file.read_text().splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows
