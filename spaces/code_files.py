"""The files of a user's own code: the one that is named, and what it imports from its project."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

MOST_FILES = 2000


def code_fingerprint(*references: str) -> dict[str, str]:
    """The SHA-256 of every file of the user's code, by its path below the project's folder.

    The files are read, never run: an import counts where a statement names it, also inside a
    function; what code imports by a name that it makes up is not seen.

    Args:
        references: each ``folder/my_code.py:function``.
    """
    found: dict[str, str] = {}
    seen: set[Path] = set()
    for reference in references:
        file = Path(reference.rpartition(":")[0])
        for path in own_files(file):
            if path in seen:
                continue
            seen.add(path)
            name = path.relative_to(project_of(file)).as_posix()
            found[f"{name} (space)" if name in found else name] = _digest(path)
    return found


def project_of(file: Path) -> Path:
    """The folder that is on the path when a file is imported: above the packages it lies in."""
    folder = _absolute(file).parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    return folder


def own_files(file: Path) -> list[Path]:
    """A file and all that it imports, directly or not, from its project; empty when it is gone."""
    project, first = project_of(file), _absolute(file)
    waiting, found = [first], dict.fromkeys([first] if os.path.isfile(first) else [])
    while waiting and len(found) < MOST_FILES:
        path = waiting.pop()
        for module in _imported(path, project):
            for needed in _files_of(module, (project, path.parent)):
                if needed not in found and needed.is_relative_to(project):
                    found[needed] = None
                    waiting.append(needed)
    return list(found)


def _absolute(file: Path) -> Path:
    return Path(os.path.abspath(file))


def _imported(path: Path, project: Path) -> Iterator[str]:
    """The dotted names that a file's import statements name; ``from a import b`` as ``a.b``."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(project).parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def _files_of(module: str, folders: tuple[Path, ...]) -> Iterator[Path]:
    """The files that importing a module runs: those of the packages it lies in, and its own."""
    parts = module.split(".")
    for folder in folders:
        for length in range(1, len(parts) + 1):
            place = folder.joinpath(*parts[:length])
            for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                if os.path.isfile(file):
                    yield file


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"can't be read: {error.strerror}"
