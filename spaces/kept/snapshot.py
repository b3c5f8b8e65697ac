"""The source of a function that Python code hands over, as a module that stands for it.

It has the function, the helpers and classes of the same notebook or script that it uses, their
imports and plain constants; and beside it lie the user's modules that it imports, and files with
its arrays, tensors and tables. Anything else, such as a trained model, is left out: then the module
says so when it is imported.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from spaces.imports import Reference, imported_files
from spaces.kept.data_files import READER, READER_SOURCE, data_in, remove_unread
from spaces.kept.forms import NotKeptError
from spaces.kept.source import (
    FUTURE_FLAG,
    Written,
    methods,
    names_in,
    source_of,
    submodules_in,
    table_of,
    world_of,
)
from spaces.kept.values import Values
from spaces.problems import InputError, shown


def module_reference(function: FunctionType) -> str | None:
    """``/path/my_code.py:train`` for a function of a module of the user's; None for any other.

    Others are those of a notebook, of the main program, inside another function, or installed.
    """
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None)
    is_there = module is not None and vars(module).get(function.__name__) is function
    if function.__module__ == "__main__" or file is None or not is_there or _is_installed(file):
        return None
    return f"{os.path.abspath(file)}:{function.__name__}"


def check_function(value: Any, place: str) -> FunctionType:
    """See that a value is a function that has a name.

    Raises:
        InputError: when it is something else.
    """
    if not isinstance(value, FunctionType):
        raise InputError(f"must be a function, got {shown(value)}", place)
    if not value.__name__.isidentifier():
        raise InputError("must be a function with a name, made by def; got a lambda", place)
    return value


def home_of(function: Callable[..., Any]) -> Path:
    """The folder from which a function imports the user's modules."""
    file = getattr(sys.modules.get(function.__module__), "__file__", None)
    return Path.cwd() if file is None or _is_installed(file) else Path(file).resolve().parent


def write_snapshot(function: FunctionType, file: Path) -> list[str]:
    """Write the module that stands for a function, and beside it data and the user's modules.

    Args:
        function: has a name.
        file: of the module; its folder is made.

    Returns:
        What the module lacks, each with the reason.

    Raises:
        OSError: when a file can't be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    before = data_in(file.parent)
    snapshot = Snapshot(function, Values(file.parent))
    file.write_text(snapshot.text(), encoding="utf-8")
    remove_unread(file.parent, spared=before)  # parts of what can't be kept as a whole
    for root in {home_of(function), *snapshot.folders()}:
        for module in imported_files(Reference(root, file.stem, file, function.__name__)):
            if module != file and not _is_installed(str(module)):
                copy = file.parent / module.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(module, copy)
    return [f"{name} ({held})" for name, held in snapshot.left_out.items()]


class Snapshot:
    """The parts of the module, each by the name that it has in it.

    Args:
        function: that the module stands for.
        values: writes the data that it holds.
    """

    def __init__(self, function: FunctionType, values: Values) -> None:
        self.left_out: dict[str, str] = {}
        self._imports: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._values = values
        self._seen: dict[str, Any] = {READER: READER_SOURCE}
        self._later: list[tuple[str, Any, Written]] = []  # used by classes, once they are there
        self._flags = 0
        self._take(function.__name__, function, function)
        while self._later:
            self._take(*self._later.pop(0))

    def text(self) -> str:
        """The source of the module."""
        parts = ['"""Kept by Shoal: the code of a search that was started from Python."""']
        if self._flags:
            parts.append("from __future__ import annotations")
        if self.left_out:
            what = ", ".join(f"{name} ({held})" for name, held in self.left_out.items())
            problem = f"{what}: used by the code, but only in the program that started the search"
            mend = "resume it from there, with search.resume(folder, train)"
            parts.append(f"raise ImportError({f'{problem}; {mend}'!r})")
        if self._values.have_files:
            parts.append(READER_SOURCE)
        if self._imports:
            parts.append("\n".join(sorted(self._imports.values())))
        if self._constants:
            parts.append("\n".join(self._constants.values()))
        parts += [f"\n{source}" for source in self._sources.values()]
        return "\n\n".join(parts) + "\n"

    def folders(self) -> Iterator[Path]:
        """Those from which the modules were imported that are the user's."""
        for line in self._imports.values():
            module = sys.modules.get(line.split()[1].partition(".")[0])
            file = getattr(module, "__file__", None)
            if file is not None and not _is_installed(file):
                folder = Path(file).resolve().parent
                yield folder.parent if Path(file).stem == "__init__" else folder

    def _take(self, name: str, value: Any, user: Written) -> None:
        """Take a value in, under a name, and before it what it needs to be made."""
        if name in self._seen:
            if self._seen[name] is not value:
                self.left_out[name] = "two things of this name"
            return
        self._seen[name] = value
        if isinstance(value, ModuleType):
            is_same = value.__name__ == name
            self._imports[name] = f"import {value.__name__}" + ("" if is_same else f" as {name}")
        elif isinstance(value, FunctionType | type) and value.__module__ == user.__module__:
            self._take_written(name, value)
        elif (line := _import_of(name, value)) is not None:
            self._imports[name] = line
        else:
            try:
                self._constants[name] = f"{name} = {self._values.text(name, value)}"
            except NotKeptError as error:
                self.left_out[name] = str(error)

    def _take_written(self, name: str, value: Written) -> None:
        source = source_of(value)
        flags = next((m.__code__.co_flags for m in methods(value)), 0) & FUTURE_FLAG
        table = None if source is None else table_of(source, flags)
        if source is None or table is None or value.__name__ != name:
            self.left_out[name] = "has no source that could stand alone"
            return
        self._flags |= flags
        around = world_of(value)
        at_once, once_called = ({*names_in(table, kind)} - {name} for kind in (True, False))
        for used in sorted(at_once & around.keys()):
            self._take(used, around[used], value)
        laters = [(used, around[used], value) for used in sorted(once_called & around.keys())]
        if isinstance(value, type):  # whose methods may use what is made of it
            self._later += laters
        else:
            for later in laters:
                self._take(*later)
        for module in submodules_in(source):
            self._imports[module] = f"import {module}"
        self._sources[name] = source


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports something under a name, where an import can."""
    module, named = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(named, str) or module == "__main__":
        return None
    if getattr(sys.modules.get(module), named, None) is not value:
        return None
    return f"from {module} import {named}" + ("" if named == name else f" as {name}")


def _is_installed(file: str) -> bool:
    """Whether a file is Python's own, or an installed package's."""
    is_pythons = os.path.realpath(file).startswith(os.path.realpath(sysconfig.get_path("stdlib")))
    return is_pythons or bool({"site-packages", "dist-packages"} & {*Path(file).parts})
