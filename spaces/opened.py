"""Which files own code reads from its project: noted when they are opened, while it runs."""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MOST_FILES = 1000  # read more, and it is a dataset, of which a part is no use


class Opened:
    """What was read below the project's folder, or below the current one that it lies in.

    Not noted: modules, hidden files, installed packages, what the code has written itself, and
    what child processes or libraries in C read. (An audit hook would hear of a few more, but slows
    the process for good: each ``id()`` is an event, too.)

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
        if self._base is None:
            with suppress(OSError):  # the current folder may be gone
                self._base = base_of(self.root, os.getcwd())
        held = builtins.open

        def heard(file: Any, mode: Any = "r", *args: Any, **options: Any) -> Any:
            with suppress(TypeError, ValueError, OSError):  # which the real one tells
                self._hear(os.fsdecode(file), mode)
            return held(file, mode, *args, **options)

        builtins.open = io.open = heard
        try:
            yield
        finally:
            builtins.open = io.open = held

    def _hear(self, path: str, mode: str) -> None:
        """A file is being opened."""
        path = os.path.abspath(path)
        if not path.startswith(os.path.join(self.base, "")) or is_passed_over(path, self.base):
            return
        if set(mode) & set("wax+"):
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
