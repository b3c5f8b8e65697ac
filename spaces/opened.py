"""Which files own code reads from its project: noted when they are opened, while it runs."""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
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
        self._running = 0

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
        modules: tuple[Any, ...] = (builtins, io)
        heard = [(module, _Heard(module.open, self)) for module in modules]
        for module, opener in heard:
            module.open = opener
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            for module, opener in heard:
                if module.open is opener:  # and no patch of the code's own
                    module.open = opener.held

    def hear(self, path: str, mode: str) -> None:
        """A file is being opened."""
        path = os.path.abspath(path)
        if not self._running:  # own code has kept what stood in the place of ``open``
            return
        if not path.startswith(os.path.join(self.base, "")) or is_passed_over(path, self.base):
            return
        if set(mode) & set("wax+"):
            self._written.add(path)
        elif len(self._read) <= MOST_FILES:
            self._read[path] = None

    def count(self) -> int:
        """How many files were read or written so far."""
        return len(self._read) + len(self._written)

    def files(self) -> list[str]:
        """What was read and not written; at most ``MOST_FILES`` + 1."""
        read = [*self._read]  # a copy, for threads of own code may open more meanwhile
        return [path for path in read if path not in self._written and os.path.isfile(path)]


class _Heard:
    """Stands in the place of ``open``; like that, it is no method of a class that has it.

    Args:
        held: what stood there.
        opened: takes note.
    """

    def __init__(self, held: Callable[..., Any], opened: Opened) -> None:
        self.held = held
        self._opened = opened
        self.__name__ = self.__qualname__ = "open"

    def __call__(self, file: Any, mode: Any = "r", *args: Any, **options: Any) -> Any:
        with suppress(TypeError, ValueError, OSError):  # which the real one tells
            self._opened.hear(os.fsdecode(file), mode)
        return self.held(file, mode, *args, **options)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return pkgutil.resolve_name, ("io:open",)


def base_of(root: Path, folder: str) -> Path:
    """What a project is part of: the folder in which it ran, if it lies in that, or itself.

    The home folder and those above it are no part of a project, but hold whatever is there.
    """
    above = Path(folder)
    home = os.path.expanduser("~")
    homes = {Path(home), Path(os.path.realpath(home)), Path("/")}
    if not root.is_relative_to(above) or any(held.is_relative_to(above) for held in homes):
        return root
    return above


@cache
def pythons_below(folder: Path) -> tuple[str, ...]:
    """The folders of Python itself and of what is installed, where they lie in a folder."""
    paths = sysconfig.get_paths()
    places = {sys.prefix, sys.base_prefix, paths["stdlib"], paths["platstdlib"]}
    places |= {os.path.realpath(place) for place in places}
    start = os.path.join(folder, "")
    return tuple(os.path.join(place, "") for place in places if place.startswith(start))


def is_passed_over(path: str, base: Path) -> bool:
    """Whether a file is a module, hidden, or of an installed package."""
    parts = Path(path).relative_to(base).parts
    if any(part.startswith(".") or part in ("__pycache__", "site-packages") for part in parts):
        return True
    return path.endswith((".py", ".pyc")) or path.startswith(pythons_below(base))
