"""The shape of the source (DESIGN.md): who may import whom, how long files are, what names say.

Where the source is not there yet, a list says which files are left. It can only become shorter: a
file that was mended fails its test until it is off the list.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.source import (
    FILES,
    PACKAGES,
    ROOT,
    each_file,
    imported_modules,
    imports,
    module_of,
    name_of,
    names_defined,
    packages_in,
    reached_from,
)

MAY_IMPORT: dict[str, set[str]] = {
    "spaces": set(),
    "trainables": {"spaces"},
    "analysis": {"spaces"},
    "search": {"spaces", "trainables", "analysis"},
}
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_LINES = 300
VAGUE = re.compile("made|told|lost|goodness|take_?home", re.IGNORECASE)


@each_file
def test_a_package_imports_only_those_below_it(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert packages_in(path) & MAY_IMPORT.keys() <= MAY_IMPORT[package] | {package}


def test_modules_import_each_other_in_no_circle() -> None:
    arrows = imported_modules()
    reached = {module: reached_from(module, arrows) for module in arrows}
    circles = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in arrows
        if module in reached[module]
    }
    assert circles == set()


def test_only_the_transport_and_the_tune_workers_import_ray() -> None:
    others = {
        name_of(path)
        for path in FILES
        if "ray" in packages_in(path)
        if not name_of(path).startswith("search/transport/")
        if not path.match("trainables/worker/tune_*.py")
    }
    assert others == set()


@pytest.mark.parametrize("package", ["spaces", "analysis", "search.control"])
def test_what_decides_and_what_reads_a_run_reach_no_ray(package: str) -> None:
    with_ray = {module_of(path) for path in FILES if "ray" in packages_in(path)}
    arrows = imported_modules()
    reached = {m: reached_from(m, arrows) for m in arrows if f"{m}.".startswith(f"{package}.")}
    assert reached
    assert {module for module, below in reached.items() if below & with_ray} == set()


def test_what_is_better_is_asked_of_the_metric_alone() -> None:
    """Beside it, training keeps weights by its scope, and the range of scores has its direction."""
    knows = re.compile(r"\bmetric\.(mode|scope)\b|\bmode == \"m(in|ax)\"")
    files = {name_of(path) for path in FILES if knows.search(path.read_text("utf-8"))}
    assert files == {
        "spaces/metric.py",
        "spaces/checks.py",
        "spaces/notes.py",
        "trainables/fitting/progress.py",
        "trainables/training.py",
        "trainables/user_code/training.py",
        "analysis/insight/observations.py",
        "analysis/report/sections/history.py",
        "analysis/stats/score_range.py",
        "analysis/stats/intervals.py",
        "analysis/verdict/confirmation.py",
        "search/control/sampler.py",
    }


@each_file
def test_no_file_imports_anothers_private_names(path: Path) -> None:
    names = [part for module, name in imports(path) for part in (*module.split("."), name)]
    assert [name for name in names if name.startswith("_") and name != "__future__"] == []


@pytest.mark.parametrize("path", TESTS, ids=map(name_of, TESTS))
def test_no_test_imports_a_module_of_tests(path: Path) -> None:
    names = [f"{module}.{name}" for module, name in imports(path)]
    assert [name for name in names if re.match(r"tests\b.*\b(test_|conftest)", name)] == []


def test_every_package_says_in_one_line_what_it_holds() -> None:
    folders = {path.parent for path in FILES}
    assert {ROOT / package for package in PACKAGES} <= folders
    for folder in folders:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
        assert said, folder
        assert "\n" not in said, folder


def test_no_file_is_longer_than_its_reader_can_hold() -> None:
    pages = [path for kind in ("js", "css") for path in (ROOT / "analysis").rglob(f"*.{kind}")]
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in FILES + pages}
    assert {name for name, lines in lengths.items() if lines > MOST_LINES} == set()


def test_names_are_the_fields() -> None:
    vague = {name_of(path): set(filter(VAGUE.search, names_defined(path))) for path in FILES}
    assert {file: names for file, names in vague.items() if names} == {}
