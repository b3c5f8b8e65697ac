"""Who may import whom (DESIGN.md): the arrows between the packages, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "spaces": set(),
    "trainables": {"spaces"},
    "analysis": {"spaces"},
    "search": {"spaces", "trainables", "analysis"},
}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
each_file = pytest.mark.parametrize(
    "path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES]
)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import in a file, those inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


@each_file
def test_a_package_imports_only_those_below_it(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {module.split(".")[0] for module, _ in imports(path)} & MAY_IMPORT.keys()
    assert ours <= MAY_IMPORT[package] | {package}


@each_file
def test_only_search_and_the_tune_workers_import_ray(path: Path) -> None:
    is_allowed = "search" in path.parts or path.match("trainables/worker/tune_*.py")
    assert is_allowed or "ray" not in {module.split(".")[0] for module, _ in imports(path)}


@each_file
def test_no_file_imports_anothers_private_names(path: Path) -> None:
    names = [part for module, name in imports(path) for part in (*module.split("."), name)]
    assert [name for name in names if name.startswith("_") and name != "__future__"] == []
