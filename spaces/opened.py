"""Which files own code reads from its project, as Python itself tells when it opens them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MOST_FILES = 1000  # read more, and it is a dataset, of which a part is no use
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_listening: list[Opened] = []
_is_installed: list[bool] = []


class Opened:
    """What was read below the project's folder, or below the current one that it lies in.

    Not noted: modules, hidden files, installed packages, what the code has written itself, and
    what child processes or libraries in C read.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base: Path | None = None
        self._read: dict[str, None] = {}
        self._written: set[str] = set()

    @property
    def base(self) -> Path:
        """Below which files are noted."""
        return self._base or self.root

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take note meanwhile; the folder where the process stands at first is the current one."""
        if not _is_installed:  # and stays for as long as the process lives
            sys.addaudithook(_hear)
            _is_installed.append(True)
        if self._base is None:
            self._base = base_of(self.root, os.path.abspath(os.curdir))
        _listening.append(self)
        try:
            yield
        finally:
            _listening.remove(self)

    def hear(self, path: str, flags: int) -> None:
        """A file is being opened."""
        path = os.path.abspath(path)
        if not path.startswith(f"{self.base}{os.sep}") or is_passed_over(path, self.base):
            return
        if flags & _WRITING:
            self._written.add(path)
        elif len(self._read) <= MOST_FILES:
            self._read[path] = None

    def files(self) -> list[str]:
        """What was read and not written; at most ``MOST_FILES`` + 1."""
        return [path for path in self._read if path not in self._written and os.path.isfile(path)]


def base_of(root: Path, folder: str) -> Path:
    """What a project is part of: the folder in which it ran, if it lies in that, or itself."""
    return Path(folder) if root.is_relative_to(folder) else root


def is_passed_over(path: str, base: Path) -> bool:
    """Whether a file is a module, hidden, or of an installed package."""
    parts = Path(path).relative_to(base).parts
    if any(part.startswith(".") or part in ("__pycache__", "site-packages") for part in parts):
        return True
    return path.endswith((".py", ".pyc")) or path.startswith(f"{sys.prefix}{os.sep}")


def _hear(event: str, details: tuple[Any, ...]) -> None:
    if event != "open" or not _listening:
        return
    with suppress(Exception):  # an exception here would keep the file from being opened
        path, _, flags = details
        if not isinstance(path, int):
            _listening[-1].hear(os.fsdecode(path), flags)
