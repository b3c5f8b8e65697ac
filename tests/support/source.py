"""Our own source as tests read it: its files, what they import, what they define."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("spaces", "trainables", "analysis", "search")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    """A file's path from the root of the project, with slashes."""
    return path.relative_to(ROOT).as_posix()


each_file = pytest.mark.parametrize("path", FILES, ids=map(name_of, FILES))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in a file, those inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


def packages_in(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {module.partition(".")[0] for module, _ in imports(path)}


def names_defined(path: Path) -> Iterator[str]:
    """The names of a file, of its classes and of its functions."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def module_of(path: Path) -> str:
    """The dotted name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules() -> dict[str, set[str]]:
    """Which of our modules each of our modules imports."""
    modules = {module_of(path): path for path in FILES}
    return {
        module: {
            found
            for name, part in imports(path)
            for found in (f"{name}.{part}", name)
            if found in modules
        }
        for module, path in modules.items()
    }


def reached_from(module: str, arrows: dict[str, set[str]]) -> set[str]:
    """All that a module imports, and what that imports; itself only when it is in a circle."""
    found: set[str] = set()
    ahead = [*arrows[module]]
    while ahead:
        if (other := ahead.pop()) not in found:
            found.add(other)
            ahead += arrows[other]
    return found
