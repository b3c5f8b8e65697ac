"""Which file a reference to own code names, and which files of its project that one imports.

Read from the source: nothing is run.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spaces.problems import InputError, shown


class Reference(NamedTuple):
    """Own code: the project's folder, the module's name in it, its file, the function's name."""

    root: Path
    module: str
    file: Path
    function: str


def absolute_reference(reference: str, folder: Path) -> str:
    """``my_code.py:train`` or ``mypkg.train:run`` with the path made absolute.

    Args:
        reference: seen from ``folder``; a module may lie in the current folder, too.
        folder: that of the file that has the reference.
    """
    place, _, function = reference.rpartition(":")
    try:
        if place.endswith(".py"):
            return f"{(folder / place).resolve()}:{function}"
        for root in (folder, Path.cwd()):
            module = (root / place).resolve()
            if module_file(_path_of(module)) is not None:
                return f"{module}:{function}"
        return f"{(folder / place).resolve()}:{function}" if place else reference
    except (OSError, ValueError, RuntimeError):  # no path; ``parse_reference`` tells
        return reference


def project_of(reference: str | None) -> Path | None:
    """The project of the user's own code, which the workers of a cluster need, too."""
    return None if reference is None else parse_reference(reference).root


def parse_reference(reference: str) -> Reference:
    """Find what a reference names.

    Args:
        reference: ``path/to/file.py:function``, whose project is the first folder upward that has
            no ``__init__.py``; or ``path/to/package.module:function``, whose project is that path.

    Raises:
        InputError: when it is no such pair, or the file is not there.
    """
    place, separator, function = reference.rpartition(":")
    path = Path(place)
    is_file = path.suffix == ".py"
    names = [path.stem] if is_file else path.name.split(".")
    if not separator or not function.isidentifier() or not all(names):
        rule = "must look like my_code.py:function or package.module:function"
        raise InputError(f"{rule}, got {shown(reference)}")
    path = Path(os.path.abspath(path))
    if not is_file:
        file = module_file(_path_of(path))
        if file is None:
            raise InputError(f"there is no module {path.name} in {path.parent}")
        return Reference(path.parent, path.name, file, function)
    if not os.path.isfile(path):  # Path.is_file fails for a name that is too long
        raise InputError(f"there is no file {place}")
    root = path.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent
    parts = path.relative_to(root).with_suffix("").parts
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    return Reference(root, ".".join(parts), path, function)


def named_file(reference: str) -> Path:
    """The file that a reference names, which may be gone."""
    path = Path(reference.rpartition(":")[0])
    if path.suffix == ".py":
        return path
    module = _path_of(path)
    return module_file(module) or module.with_name(f"{module.name}.py")


def module_file(path: Path) -> Path | None:
    """The file of the module at ``path`` (without ``.py``), or of the package."""
    for file in (path.parent / f"{path.name}.py", path / "__init__.py"):
        if os.path.isfile(file):
            return file
    return None


def _path_of(dotted: Path) -> Path:
    return dotted.parent.joinpath(*dotted.name.split("."))


def imported_files(reference: Reference) -> list[Path]:
    """The file that is named, and all of its project that it imports, and these in turn.

    What lies above the project's folder is none of it, nor is it found there when the code runs.
    """
    found: set[Path] = set()
    waiting = [reference.file, *_packages_above(reference.file, reference.root)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for base, names in _imports(file, reference):
            for place in dict.fromkeys((base, reference.file.parent)):
                for depth in range(1, len(names) + 1):
                    held = module_file(place.joinpath(*names[:depth]))
                    if held is not None and held.is_relative_to(reference.root):
                        waiting += [held, *_packages_above(held, reference.root)]
    return sorted(found)


def _packages_above(file: Path, root: Path) -> Iterator[Path]:
    folder = file.parent
    while folder != root and root in folder.parents:
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
        folder = folder.parent


def _imports(file: Path, reference: Reference) -> Iterator[tuple[Path, list[str]]]:
    """Each import of a file: where it is looked for, and the names on the way."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((reference.root, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(file.parents):
                continue
            base = file.parents[node.level - 1] if node.level else reference.root
            module = node.module.split(".") if node.module else []
            yield from ((base, [*module, alias.name]) for alias in node.names)


def tree_of(file: Path) -> ast.Module:
    """The source of a file, parsed; as if there were none where it can't be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])
