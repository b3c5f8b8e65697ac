"""The source of functions and classes, wherever they were written, and the names that it uses."""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
import sys
from collections.abc import Iterator
from contextlib import suppress
from symtable import SymbolTable, symtable
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

Written: TypeAlias = FunctionType | type
FUTURE_FLAG = __future__.annotations.compiler_flag
_AS_MODULE = "if True:  # it stood inside of something\n"


def table_of(source: str, flags: int) -> SymbolTable | None:
    """The names of a module of this source; None: it has a variable that is ``nonlocal``, say."""
    future = "from __future__ import annotations\n" if flags else ""
    try:
        return symtable(future + source, "given", "exec")
    except SyntaxError:
        return None


def names_in(table: SymbolTable, at_once: bool) -> Iterator[str]:
    """The names that code takes from around it.

    Args:
        table: of a module.
        at_once: those that it needs as it is read; or those that its functions need, once called.
    """
    if (table.get_type() == "function") is not at_once:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and symbol.is_global():
                yield symbol.get_name()
    for inner in table.get_children():
        yield from names_in(inner, at_once)


def world_of(value: Written) -> dict[str, Any]:
    """The world around code, by name: its module's, and what it closes over."""
    functions = methods(value)
    module = sys.modules.get(value.__module__)
    around = dict(functions[0].__globals__ if module is None and functions else vars(module))
    for function in functions:
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            with suppress(ValueError):  # it is not set yet
                around[name] = cell.cell_contents
    around.pop("__class__", None)
    return {name: held for name, held in around.items() if not name.startswith("__")}


def submodules_in(source: str) -> Iterator[str]:
    """The modules that are written out, such as ``torch.nn.functional``, where they are imported.

    ``import torch.nn as nn`` has another name for one, and ``import torch`` may not import all.
    """
    for node in ast.walk(ast.parse(source)):
        name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
        if isinstance(sys.modules.get(name), ModuleType):
            yield name


def methods(value: Written) -> list[FunctionType]:
    """A function below its decorators, or those that a class has itself."""
    if isinstance(value, FunctionType):
        return [inspect.unwrap(value)]
    held = [*vars(value).values()]
    held += [getattr(method, "__func__", getattr(method, "fget", None)) for method in held]
    found = (inspect.unwrap(method) for method in held if callable(method))
    return [
        method
        for method in found
        if isinstance(method, FunctionType) and method.__module__ == value.__module__
    ]


def source_of(value: Written) -> str | None:
    """The source, to stand in a module; None where nobody has kept it.

    (For a class of a notebook ``inspect.getsource`` looks for a file of the main program.)
    """
    try:
        if isinstance(value, FunctionType):
            return _at_the_margin(inspect.getsource(value))
        codes = [method.__code__ for method in methods(value)]
        files = dict.fromkeys([*(code.co_filename for code in codes), *reversed(linecache.cache)])
        for file in files:
            lines = linecache.getlines(file)
            if found := _class_in(lines, value, [c for c in codes if c.co_filename == file]):
                first = min([found.lineno, *(d.lineno for d in found.decorator_list)])
                return _at_the_margin("".join(lines[first - 1 : found.end_lineno]))
        return _at_the_margin(inspect.getsource(value))
    except (OSError, TypeError):
        return None


def _class_in(lines: list[str], cls: type, codes: list[CodeType]) -> ast.ClassDef | None:
    """The definition of a class in a file: around its methods, or else the last at the margin."""
    name = f"class {cls.__name__}"
    if not any(name in line for line in lines):
        return None
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    named = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__]
    first = [code.co_firstlineno for code in codes[:1]]
    around = [n for n in named if all(n.lineno <= f <= (n.end_lineno or 0) for f in first)]
    if not first:
        around = [n for n in around if n.col_offset == 0]
    return max(around, key=lambda node: node.lineno, default=None)


def _at_the_margin(source: str) -> str:
    """The source as a part of a module; its texts of several lines stay as they are."""
    return (_AS_MODULE if source[:1].isspace() else "") + source.rstrip()
