"""The module that stands for functions of a notebook or a script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spaces.imports import parse_reference
from spaces.kept.snapshot import check_function, module_reference, write_snapshot
from spaces.problems import InputError
from tests.support.source import ROOT

HELPERS = "SCALE = 3\n\ndef scaled(x):\n    return x * SCALE\n"
SCRIPT = """
from __future__ import annotations

import functools
import json as j
import os.path
from math import floor
from pathlib import Path

import numpy as np
import torch

from helpers import scaled

FACTOR, NAMES, PLACE = 0.5, ["a", {"b": (1, 2)}], Path("data")
OBJECTS, BIG = np.array([0, None]), {"x": np.arange(3), "y": (torch.ones(2),)}
MEAN = BIG["x"].mean()

class Base:
    def __init__(self, width):
        self.width = width

class Model(Base):
    \"\"\"A class of the notebook.\"\"\"
    @property
    def size(self):
        return floor(helper(self.width))

def helper(x):
    return scaled(x) * FACTOR

def circle(n):
    return 0 if n == 0 else around(n - 1)

def around(n):
    return circle(n)

def make(bonus):
    def inner(config, context):
        return {"score": config["x"] + bonus}
    return inner

def train(config, context):
    torch.nn.functional.relu(torch.zeros(1))
    size = Model(config["width"]).size
    return {"score": size + circle(3) + len(NAMES), "json": j.dumps(str(PLACE))}

def uses_objects(config, context):
    return {"score": len(OBJECTS) + os.path.exists("x")}

def uses_data(config, context):
    return {"score": float(BIG["x"].sum() + BIG["y"][0].sum() + MEAN)}

inner = make(5)
model, config, context = np.zeros(1), np.zeros(1), np.zeros(1)
OPTIMIZERS = {"sgd", "adam", "lion"}

def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper

@torch.no_grad()
def decorated(x):
    return floor(x)

def make_decorated(bonus):
    @logged
    def inner_decorated(config, context):
        return {"score": config["x"] + bonus}
    return inner_decorated

inner_decorated = make_decorated(7)

class Settings:
    value = 1
    def get(self):
        return self.value

class Other:
    class Settings:
        value = 999
        def get(self):
            return self.value

class Net:
    def grown(self) -> BigNet:
        return BigNet()

class BigNet(Net):
    size = 4

def tricky(config, context):
    model = decorated(config["x"])
    text = '''a
    b'''
    return {"score": model + Settings().get() + Net().grown().size, "length": len(text),
            "sorted": sorted(OPTIMIZERS)[0]}

if __name__ == "__main__":
    import sys
    sys.path.insert(0, sys.argv[1])
    from spaces.kept.snapshot import module_reference, write_snapshot
    function = globals()[sys.argv[2]]
    assert module_reference(function) is None
    write_snapshot(function, Path(sys.argv[3]))
"""


def snapshot(folder: Path, function: str) -> Path:
    """What is kept of a function of a script that is the main program."""
    (folder / "helpers.py").write_text(HELPERS)
    (folder / "script.py").write_text(SCRIPT)
    file = folder / "run" / "code" / "kept.py"
    command = [sys.executable, "script.py", str(ROOT), function, str(file)]
    subprocess.run(command, cwd=folder, check=True)
    return file


def called(file: Path, function: str, config: dict[str, Any]) -> str:
    """What the kept function returns, in a process that knows nothing of the script."""
    run = f"import {file.stem}; print({file.stem}.{function}({config!r}, None))"
    elsewhere = file.parent
    done = subprocess.run(
        [sys.executable, "-c", run], cwd=elsewhere, check=False, capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_a_function_is_kept_with_all_that_it_uses(tmp_path: Path) -> None:
    file = snapshot(tmp_path, "train")
    (tmp_path / "helpers.py").unlink()
    (tmp_path / "script.py").unlink()
    assert called(file, "train", {"width": 3}) == "{'score': 6, 'json': '\"data\"'}"
    assert (file.parent / "helpers.py").read_text() == HELPERS
    assert "uses_objects" not in file.read_text()
    assert "_kept_data" not in file.read_text()
    assert parse_reference(f"{file}:train").root == file.parent


def test_the_data_of_a_script_is_kept(tmp_path: Path) -> None:
    file = snapshot(tmp_path, "uses_data")
    file.parent.rename(tmp_path / "elsewhere")
    assert called(tmp_path / "elsewhere" / file.name, "uses_data", {}) == "{'score': 6.0}"


@pytest.mark.parametrize(("name", "score"), [("inner", 6), ("inner_decorated", 8)])
def test_what_a_closure_holds_is_kept(tmp_path: Path, name: str, score: int) -> None:
    assert called(snapshot(tmp_path, name), name, {"x": 1}) == f"{{'score': {score}}}"


def test_names_are_those_that_python_would_find(tmp_path: Path) -> None:
    file = snapshot(tmp_path, "tricky")
    assert called(file, "tricky", {"x": 2.5}) == "{'score': 7, 'length': 7, 'sorted': 'adam'}"
    assert "{'adam', 'lion', 'sgd'}" in file.read_text()


def test_what_has_no_source_is_named(tmp_path: Path) -> None:
    said = called(snapshot(tmp_path, "uses_objects"), "uses_objects", {})
    assert said.startswith("ImportError: OBJECTS (an array of objects): used by the code, but only")
    assert "resume it from there, with search.resume(folder, train)" in said


def test_a_function_of_a_module_is_named_by_its_file() -> None:
    reference = module_reference(test_a_function_of_a_module_is_named_by_its_file)
    assert reference == f"{Path(__file__)}:test_a_function_of_a_module_is_named_by_its_file"
    assert module_reference(pytest.importorskip) is None  # an installed package's

    def inner() -> None: ...

    assert module_reference(inner) is None


def test_two_things_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    def helper() -> int:
        return 1

    def inner() -> Any:
        def helper() -> int:
            return 2

        def other() -> int:
            return helper()

        return other

    other = inner()

    def train() -> int:
        return helper() + int(other())

    file = tmp_path / "kept" / "kept.py"
    write_snapshot(train, file)
    assert "helper (two things of this name)" in file.read_text()


def test_a_function_that_changes_what_is_around_it_does_not_stand_alone(tmp_path: Path) -> None:
    count = 0

    def train() -> None:
        nonlocal count
        count += 1

    file = tmp_path / "kept" / "kept.py"
    write_snapshot(train, file)
    assert "train (has no source that could stand alone)" in file.read_text()


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (3, "must be a function, got 3"),
        (lambda: None, "made by def; got a lambda"),
        (int, "must be a function, got <class 'int'>"),
        ("train", "must be a function, got 'train'"),
    ],
)
def test_what_is_no_function_is_refused(value: Any, rule: str) -> None:
    with pytest.raises(InputError, match=f"train: .*{rule}"):
        check_function(value, "train")
