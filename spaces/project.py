"""The project of the user's own code, and the world that it finds while it runs.

Own code runs in a process of Shoal's. For as long as it does (``Project.running``) that process
looks like one of its own, started as ``python its_file.py``:

- its folder comes first on ``sys.path``, for it and for the processes that it starts;
- a name that its project has and that something else has, too (``analysis`` is a package of
  Shoal's, ``rich`` one that Shoal uses), means the project's module: what was loaded under that
  name stands aside until own code hands back, and then the project's does. Libraries keep theirs:
  a file that own code never imports, such as a ``profile.py``, hides none of Python's own;
- ``sys.argv``, the current folder and ``__main__`` are its own, too. (A child process would else
  begin by running Ray's or Shoal's main program.)

Its modules are imported once in a process, under the names that they have in the project; afresh
where an experiment is read again, as in a notebook, and their files have changed.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from spaces.imports import Reference, imported_files
from spaces.interruptions import Switched
from spaces.opened import Opened, pythons_below
from spaces.own_modules import import_own, is_always_pythons, name_of, names_in

PACKAGES = ("spaces", "trainables", "analysis", "search")
_OURS = Path(__file__).resolve().parents[1]
_PROJECTS: dict[Path, Project] = {}  # what is imported belongs to the process
_PATH: list[str] = []
_GONE: Any = object()


class Stage:
    """Where one call of own code stands: its arguments, and the folder that it has gone to."""

    def __init__(self, file: Path) -> None:
        self.argv = [str(file)]
        self.folder: str | None = None


class _Outside(NamedTuple):
    """What is put back when own code hands back: the modules under its names, and what it hid."""

    names: set[str]
    others: dict[str, ModuleType]
    path: list[str]
    finders: list[Any]
    argv: list[str]
    folder: str | None
    noted: ExitStack


class Project:
    """All that lies below one folder: the first above own code that is no package.

    Args:
        root: that folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opened = Opened(root)
        is_above_ours = root in _OURS.parents
        ours = (os.path.join(_OURS, ""),) if is_above_ours else ()
        self._not_own = (*pythons_below(root), *ours)
        self._names: set[str] = set()
        self._own: set[str] = set()  # those that mean the project's modules
        self._shared: set[str] = set()  # those of them that are another's, too
        self._aside: dict[str, ModuleType] = {}  # the project's, while its code does not run
        self._path: list[str] = []  # what sys.path and sys.meta_path are while it does
        self._finders: list[Any] = []
        self._imported_ns: int | None = None  # since when modules of it are imported

    def load(self, reference: Reference) -> ModuleType:
        """Import the module that a reference names, or take it as it was imported before."""
        name = name_of(reference)
        for modules in (self._aside, sys.modules):
            if name in modules and self._holds(modules[name]):
                return modules[name]
        self.survey(reference)
        self._imported_ns = self._imported_ns or time.time_ns()
        folder = str(reference.file.parent)
        if folder not in sys.path:  # a file in a package may import its neighbours by name
            sys.path.append(folder)
        with self.running(Stage(reference.file)):
            return import_own(reference)

    def survey(self, reference: Reference) -> None:
        """See which names are the project's, and which of them are another's, too."""
        importlib.invalidate_caches()
        self._names = {name for name in names_in(self.root) if not is_always_pythons(name)}
        files = imported_files(reference)
        below = (f.relative_to(self.root) for f in files if f.is_relative_to(self.root))
        imported = {f.parts[0].removesuffix(".py") for f in below}
        self._own |= self._names & (imported | set(PACKAGES))
        self._shared |= {name for name in self._own if self._is_elsewhere(name)}

    def forget(self, reference: Reference) -> None:
        """Import the module that a reference names afresh the next time."""
        for modules in (self._aside, sys.modules):
            if self._holds(modules.get(name_of(reference))):
                del modules[name_of(reference)]

    def renew(self, reference: Reference) -> None:
        """Import all that a reference names afresh the next time, if a file of it has changed."""
        if self._imported_ns is None:
            return
        files = {str(file) for file in imported_files(reference)}
        if not any(os.stat(file).st_ctime_ns > self._imported_ns for file in files):
            return
        for modules in (self._aside, sys.modules):
            for name, module in [*modules.items()]:
                if getattr(module, "__file__", None) in files:
                    del modules[name]
        self._imported_ns = None

    def running(self, stage: Stage) -> AbstractContextManager[None]:
        """The world of own code, while it runs.

        Args:
            stage: where it stands; keeps what it changes.
        """
        return Switched(lambda: self._enter(stage), lambda outside: self._leave(stage, outside))

    def _enter(self, stage: Stage) -> _Outside:
        names = {"__main__", *(name for name in self._own if self._is_anothers(name))}
        others = _take_out(names)
        sys.modules.update(self._aside)
        sys.modules["__main__"] = ModuleType("__main__")
        # two lists each: a thread of own code may be walking one of them, for an import
        path, finders, argv = sys.path, sys.meta_path, sys.argv
        self._path[:], self._finders[:] = [str(self.root), *path], [self, *finders]
        sys.path, sys.meta_path, sys.argv = self._path, self._finders, stage.argv
        noted = ExitStack()
        noted.enter_context(self.opened.noted())
        folder = _change_folder(stage.folder)
        return _Outside(names, others, path, finders, argv, folder, noted)

    def _leave(self, stage: Stage, outside: _Outside) -> None:
        outside.noted.close()
        stage.argv, sys.argv = sys.argv, outside.argv
        stage.folder = _change_folder(outside.folder)
        root = str(self.root)
        sys.path = _without(sys.path, root, outside.path)
        if root not in sys.path:  # a thread of its own may go on to import
            sys.path.append(root)
        sys.meta_path = _without(sys.meta_path, self, outside.finders)
        self._aside = _take_out(outside.names)
        self._aside.pop("__main__", None)
        sys.modules.update(outside.others)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of Python's import: the project's own module, or else the installed one first."""
        if path is not None or name not in self._names:
            return None
        if name in self._own:
            return PathFinder.find_spec(name, [str(self.root)])
        return PathFinder.find_spec(name, self._other_places())

    def counts(self) -> tuple[int, ...]:
        """By which one tells whether more was imported, read or written."""
        return len(sys.modules), len(self._aside), self.opened.count()

    def modules(self) -> set[Path]:
        """The files of all modules of the project that are imported."""
        loaded = [*sys.modules.values(), *self._aside.values()]
        own = [module for module in loaded if self._holds(module)]
        return {Path(file) for module in own if (file := getattr(module, "__file__", None))}

    def _other_places(self) -> list[str]:
        return [place for place in sys.path if place != str(self.root)]

    def _is_elsewhere(self, name: str) -> bool:
        if name in PACKAGES:
            return self.root != _OURS
        return PathFinder.find_spec(name, self._other_places()) is not None

    def _is_anothers(self, name: str) -> bool:
        """Whether a name of the project's means another's module, or may come to mean it."""
        held = sys.modules.get(name)
        return name in self._shared if held is None else not self._holds(held)

    def _holds(self, module: Any) -> bool:
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
        if not isinstance(file, str) or not file.startswith(os.path.join(self.root, "")):
            return False
        if file.startswith(self._not_own):  # the root is the home folder, say
            return False
        return "site-packages" not in file[len(str(self.root)) :]


def project_at(root: Path) -> Project:
    """The one project of this process at a folder."""
    if root not in _PROJECTS:
        _PROJECTS[root] = Project(root)
    return _PROJECTS[root]


def remember_path() -> None:
    """Note ``sys.path`` as it should be in a worker, before Ray adds to it."""
    _PATH[:] = sys.path


def restore_path() -> None:
    """Take from ``sys.path`` what was added since ``remember_path``, if that was called."""
    if _PATH:
        sys.path[:] = _PATH


def _take_out(names: Iterable[str]) -> dict[str, ModuleType]:
    """Take modules out of ``sys.modules``, with all that is in them."""
    found = [name for name in names if name in sys.modules]
    packages = tuple(f"{name}." for name in found if hasattr(sys.modules.get(name), "__path__"))
    if packages:  # all modules are looked through: this is done for every step of own code
        # a copy, for threads of own code may import meanwhile
        found += [key for key in [*sys.modules] if key.startswith(packages)]
    popped = {key: sys.modules.pop(key, _GONE) for key in found}
    return {key: held for key, held in popped.items() if held is not _GONE}


def _without(inside: list[Any], own: Any, outside: list[Any]) -> list[Any]:
    """The list of outside, with what own code has changed in its own."""
    left = [*inside]
    with suppress(ValueError):
        left.remove(own)
    if left != outside:
        outside[:] = left
    return outside


def _change_folder(folder: str | None) -> str | None:
    """Go to a folder, if there is one to go to; returns the one before."""
    before = None
    with suppress(OSError):
        before = os.getcwd()
    if folder is not None and folder != before:
        with suppress(OSError):
            os.chdir(folder)
    return before
