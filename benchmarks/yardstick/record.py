"""What was measured, one JSON object a line; each says when, with which commit and on what."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hardware import ROOT, describe_machine

Row = dict[str, Any]
MEASURED = (
    *("spaces", "trainables", "analysis", "search"),
    *("benchmarks/yardstick", ":!benchmarks/yardstick/shown", ":!benchmarks/yardstick/results"),
)
PACKAGES = ("torch", "ray", "optuna", "syne-tune")


class Record:
    """The rows of a file.

    Args:
        file: made with the first row.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.rows = _read(file)

    def add(self, row: Row) -> None:
        """Write a row, stamped, before anything else is measured."""
        stamped = {**row, "date": f"{datetime.now():%Y-%m-%d %H:%M}", **surroundings()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as lines:
            lines.write(json.dumps(stamped) + "\n")
        self.rows.append(stamped)

    def here(self, **what: Any) -> list[Row]:
        """The rows of some kind that today's code has made on this machine."""
        commit = surroundings()["commit"]
        return [row for row in self.anywhen(**what) if row["commit"] == commit]

    def anywhen(self, **what: Any) -> list[Row]:
        """The rows of some kind from this machine, of earlier commits too."""
        machine = surroundings()["machine"]
        return [row for row in matching(self.rows, **what) if row["machine"] == machine]


def matching(rows: Sequence[Row], **what: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in what.items())]


def done_of(rows: Sequence[Row]) -> list[Row]:
    """Those that have figures, and not an error."""
    return [row for row in rows if "error" not in row]


@cache
def surroundings() -> Row:
    """The commit, the machine and the versions that figures must be read with."""
    known = [package for package in PACKAGES if _is_installed(package)]
    found = describe_machine(known)
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{found['cpu']}, {found['cores']} cores, {memory:.0f} GiB"
    return {"commit": commit(ROOT), "machine": machine, "versions": found["versions"]}


def commit(root: Path) -> str:
    """The last commit that changed what is measured; with a plus where it has changed since."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words, "--", *MEASURED], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("log", "-1", "--format=%h") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _is_installed(package: str) -> bool:
    with suppress(PackageNotFoundError):
        return bool(version(package))
    return False


def _read(file: Path) -> list[Row]:
    """The rows of a file; a last one that was cut off is left out."""
    rows: list[Row] = []
    if file.exists():
        for line in file.read_text().splitlines():
            with suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
    return rows
