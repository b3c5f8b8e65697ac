"""The source of a function that Python code hands over, as a module that stands for it.

It has the function, the helpers and classes of the same notebook or script that it uses, their
imports and plain constants; and beside it lie the user's modules that it imports. What has no
source, such as an array in a notebook, is left out: then the module says so when it is imported.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import os
import shutil
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

from spaces.imports import Reference, imported_files
from spaces.problems import InputError, shown

Written: TypeAlias = FunctionType | type
_LONGEST_CONSTANT = 10_000  # characters


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


def write_snapshot(function: FunctionType, file: Path, home: Path) -> None:
    """Write the module that stands for a function, and copy the user's modules beside it.

    Args:
        function: has a name.
        file: of the module; its folder is made.
        home: where the user's modules lie.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_Snapshot(function).text(), encoding="utf-8")
    for module in imported_files(Reference(home, file.stem, file, function.__name__)):
        if module != file and not _is_installed(str(module)):
            copy = file.parent / module.relative_to(home)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, copy)


class _Snapshot:
    """The parts of the module, each by the name that it has in it."""

    def __init__(self, function: FunctionType) -> None:
        self._imports: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        self._seen: dict[str, Any] = {}
        self._take(function.__name__, function, function)

    def text(self) -> str:
        parts = ['"""Kept by Shoal: the code of a search that was started from Python."""']
        if self._left_out:
            what = ", ".join(f"{name} ({held})" for name, held in self._left_out.items())
            problem = f"{what}: used by the code, but only in the program that started the search"
            mend = "resume it from there, with search.resume(folder, train)"
            parts.append(f"raise ImportError({f'{problem}; {mend}'!r})")
        if self._imports:
            parts.append("\n".join(sorted(self._imports.values())))
        if self._constants:
            parts.append("\n".join(self._constants.values()))
        parts += [f"\n{source}" for source in self._sources.values()]
        return "\n\n".join(parts) + "\n"

    def _take(self, name: str, value: Any, user: Written) -> None:
        """Take a value in, under a name, and before it what it uses itself."""
        if name in self._seen:
            if self._seen[name] is not value:
                self._left_out[name] = "two things of this name"
            return
        self._seen[name] = value
        if isinstance(value, ModuleType):
            is_same = value.__name__ == name
            self._imports[name] = f"import {value.__name__}" + ("" if is_same else f" as {name}")
        elif isinstance(value, FunctionType | type) and value.__module__ == user.__module__:
            self._take_written(name, value)
        elif (line := _import_of(name, value)) is not None:
            self._imports[name] = line
        elif (text := _constant(value)) is not None:
            self._constants[name] = f"{name} = {text}"
        else:
            self._left_out[name] = f"of type {type(value).__name__}"

    def _take_written(self, name: str, value: Written) -> None:
        source = _source_of(value)
        if source is None or value.__name__ != name or not _stands_alone(source):
            self._left_out[name] = "has no source that could stand alone"
            return
        for used, held in _used_by(value, source):
            self._take(used, held, value)
        for module in _submodules_in(source):
            self._imports[module] = f"import {module}"
        self._sources[name] = source


def _stands_alone(source: str) -> bool:
    """Whether Python takes it as a module: no variable of it is ``nonlocal``, it is no method."""
    try:
        compile(source, "given", "exec")
    except SyntaxError:
        return False
    return True


def _used_by(value: Written, source: str) -> Iterator[tuple[str, Any]]:
    """What code uses of the world around it, by name."""
    around = dict(vars(sys.modules[value.__module__])) if value.__module__ in sys.modules else {}
    functions = [value] if isinstance(value, FunctionType) else _methods(value)
    for function in functions:
        around |= function.__globals__
    for function in functions:
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=False
        ):
            if name != "__class__":
                around[name] = cell.cell_contents
    names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    for name in sorted(names - {value.__name__}):
        if name in around and around[name] is not getattr(builtins, name, around):
            yield name, around[name]


def _submodules_in(source: str) -> Iterator[str]:
    """The modules that are written out, such as ``torch.nn.functional``, where they are imported.

    ``import torch.nn as nn`` has another name for one, and ``import torch`` may not import all.
    """
    for node in ast.walk(ast.parse(source)):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if isinstance(sys.modules.get(name), ModuleType):
            yield name


def _methods(cls: type) -> list[FunctionType]:
    held = [*vars(cls).values()]
    held += [getattr(method, "__func__", getattr(method, "fget", None)) for method in held]
    found = (inspect.unwrap(method) for method in held if callable(method))
    return [method for method in found if isinstance(method, FunctionType)]


def _source_of(value: Written) -> str | None:
    """The source; None where nobody has kept it.

    (For a class of a notebook ``inspect.getsource`` looks for a file of the main program.)
    """
    codes = [] if isinstance(value, FunctionType) else [m.__code__ for m in _methods(value)]
    for text in filter(None, map(_file_of, codes)):
        found = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ClassDef) and node.name == value.__name__
        ]
        if found:
            first = min([found[-1].lineno, *(d.lineno for d in found[-1].decorator_list)])
            lines = text.splitlines()[first - 1 : found[-1].end_lineno]
            return textwrap.dedent("\n".join(lines))
    try:
        return textwrap.dedent(inspect.getsource(value)).strip()
    except (OSError, TypeError):
        return None


def _file_of(code: CodeType) -> str:
    return "".join(linecache.getlines(code.co_filename))


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports something under a name, where an import can."""
    module, named = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(named, str) or module == "__main__":
        return None
    if getattr(sys.modules.get(module), named, None) is not value:
        return None
    return f"from {module} import {named}" + ("" if named == name else f" as {name}")


def _constant(value: Any) -> str | None:
    """How a plain value is written; None for any other."""
    if isinstance(value, PurePath):
        return f"__import__('pathlib').Path({str(value)!r})"
    text = repr(value) if isinstance(value, _PLAIN) else ""
    try:
        is_plain = 0 < len(text) <= _LONGEST_CONSTANT and ast.literal_eval(text) == value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return text if is_plain else None


_PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, set, type(None))


def _is_installed(file: str) -> bool:
    """Whether a file is Python's own, or an installed package's."""
    is_pythons = os.path.realpath(file).startswith(os.path.realpath(sysconfig.get_path("stdlib")))
    return is_pythons or bool({"site-packages", "dist-packages"} & {*Path(file).parts})
