"""Own code in Shoal's process: modules, names, folder and arguments are those it has outside."""

from __future__ import annotations

import builtins
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

import _shoal
import spaces.project
from spaces import InputError, load_experiment
from spaces.checks import parse_experiment
from spaces.code import code_files, files_taken, load_function
from spaces.opened import MOST_FILES, Opened, base_of, is_passed_over, pythons_below
from spaces.project import Project, Stage

HERE = Path(__file__).parents[2]


def write(folder: Path, **files: str) -> None:
    """Files by their dotted names: ``mypkg.train`` is ``mypkg/train.py``."""
    for name, text in files.items():
        file = folder.joinpath(*name.split("__in__"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_name(f"{file.name}.py").write_text(text)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A project with a package, which imports from itself and from a folder named as ours."""
    write(
        tmp_path,
        mypkg__in____init__="",
        mypkg__in__nets="WIDTH = 3",
        mypkg__in__train=(
            "from mypkg.nets import WIDTH\n"
            "from . import nets\n"
            "from analysis.score import score\n"
            "def run(config, context):\n    yield {'score': score(WIDTH)}\n"
        ),
        analysis__in____init__="",
        analysis__in__score="def score(x):\n    return x + 0.5\n",
    )
    return tmp_path


def called(folder: Path, text: str, name: str = "mine") -> Callable[..., Any]:
    (folder / f"{name}.py").write_text(text)
    return load_function(f"{folder}/{name}.py:f")


@pytest.mark.parametrize("reference", ["mypkg/train.py:run", "mypkg.train:run"])
def test_code_in_a_package_is_the_module_that_it_is_outside(package: Path, reference: str) -> None:
    run = load_function(f"{package}/{reference}")
    assert next(run({}, None)) == {"score": 3.5}
    assert run.__module__ == "mypkg.train"
    import analysis.bundle.bundle

    assert Path(analysis.bundle.bundle.__file__).is_relative_to(HERE)


def test_a_module_is_named_from_the_folder_of_the_file_or_the_current_one(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = yaml.safe_dump(
        {
            "name": "own",
            "trainable": "mypkg.train:run",
            "metric": {"name": "score"},
            "budget": {"trials": 1},
        }
    )
    (package / "specs").mkdir()
    for file in (package / "own.yaml", package / "specs" / "own.yaml"):
        file.write_text(text)
    assert load_experiment(package / "own.yaml").trainable == f"{package}/mypkg.train:run"
    with pytest.raises(InputError, match=r"trainable: there is no module mypkg.train in .*specs"):
        load_experiment(package / "specs" / "own.yaml")
    monkeypatch.chdir(package)
    assert load_experiment("specs/own.yaml").trainable == f"{package}/mypkg.train:run"


def test_a_file_is_imported_once_in_a_process(tmp_path: Path) -> None:
    text = "open(__file__ + '.log', 'a').write('x')\ndef f():\n    import mine\n    return f\n"
    first = called(tmp_path, text)
    assert load_function(f"{tmp_path}/mine.py:f")() is first()
    assert (tmp_path / "mine.py.log").read_text() == "x"


def test_an_experiment_that_is_read_again_has_its_code_as_it_is_now(tmp_path: Path) -> None:
    """As in a notebook: also a file that the code imports; and nothing is imported in vain."""
    train = "import helper\nopen(__file__ + '.log', 'a').write('x')\ndef f(config, context):\n"
    write(tmp_path, helper="SCORE = 1", mine=f"{train}    yield {{'score': helper.SCORE}}\n")
    experiment = {
        "name": "own",
        "trainable": f"{tmp_path}/mine.py:f",
        "metric": {"name": "score"},
        "budget": {"trials": 1},
    }
    for score in (1, 22):
        write(tmp_path, helper=f"SCORE = {score}")
        for _ in range(2):
            reference = parse_experiment(experiment).trainable
            assert reference is not None
            assert next(load_function(reference)({}, None)) == {"score": score}
    assert (tmp_path / "mine.py.log").read_text() == "xx"


@pytest.mark.parametrize(
    "name", ["analysis", "trainables", "spaces", "search", "rich", "statistics"]
)
def test_a_name_of_the_project_is_its_own_while_it_runs_and_ours_again_after_it(
    tmp_path: Path, name: str
) -> None:
    __import__(name)
    before = {key: module for key, module in sys.modules.items() if key.split(".")[0] == name}
    write(tmp_path, **{name: "IS_MINE = True"})
    f = called(tmp_path, f"def f():\n    import {name}\n    return {name}\n")
    assert f().IS_MINE
    assert f() is f()
    after = {key: module for key, module in sys.modules.items() if key.split(".")[0] == name}
    assert after == before


def test_a_folder_without_an_init_file_counts_too(tmp_path: Path) -> None:
    write(tmp_path, search__in__line="LENGTH = 7")
    f = called(tmp_path, "def f():\n    from search.line import LENGTH\n    return LENGTH\n")
    assert f() == 7
    from search.control.asha import Rungs

    assert Rungs is not None


def test_a_file_that_own_code_does_not_import_hides_nothing_from_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, profile="raise SystemError", cProfile="raise SystemError")
    for name in ("profile", "cProfile"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "other").mkdir()
    write(tmp_path, other__in____init__="import cProfile", mine2="")
    f = called(tmp_path, "def f():\n    import other\n    return other.cProfile.run.__module__\n")
    write(tmp_path / "lib", lazy="def run():\n    import profile\n    return profile.run\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    g = called(tmp_path, "import lazy\ndef f():\n    return lazy.run()\n", name="mine3")
    assert g().__module__ == "profile"
    with pytest.raises(SystemError):  # which its own package does ask for
        f()


def test_two_projects_have_modules_of_the_same_name(tmp_path: Path) -> None:
    values = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(folder, helper=f"NAME = {folder.name!r}")
        values.append(called(folder, "def f():\n    import helper\n    return helper.NAME\n"))
    assert [f() for f in values * 2] == ["a", "b", "a", "b"]


def test_folder_and_arguments_are_each_calls_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import argparse, os, sys

def f(folder):
    arguments = argparse.ArgumentParser().parse_args()
    sys.argv.append("--more")
    os.chdir(folder)
    yield arguments
    yield os.getcwd(), list(sys.argv)
"""
    f = called(tmp_path, text)
    monkeypatch.setattr(sys, "argv", ["ray", "--node-ip-address=1"])
    before = os.getcwd()
    for folder in ("/", str(tmp_path)):
        steps = f(folder)
        assert vars(next(steps)) == {}
        assert (os.getcwd(), sys.argv) == (before, ["ray", "--node-ip-address=1"])
        assert next(steps) == (folder, [str(tmp_path / "mine.py"), "--more"])
        steps.close()
        assert (os.getcwd(), sys.argv) == (before, ["ray", "--node-ip-address=1"])


def test_a_folder_that_own_code_removes_under_itself_ends_nothing(tmp_path: Path) -> None:
    text = (
        "import os\ndef f(d):\n    os.mkdir(d), os.chdir(d), os.rmdir(d)\n    yield from (1, 2)\n"
    )
    before = os.getcwd()
    assert list(called(tmp_path, text)(str(tmp_path / "gone"))) == [1, 2]
    assert os.getcwd() == before


def test_nothing_of_its_world_stays_behind(tmp_path: Path) -> None:
    path, finders, main = list(sys.path), list(sys.meta_path), sys.modules["__main__"]
    called(tmp_path, "def f():\n    raise ValueError\n")
    with pytest.raises(ValueError, match=r"^$"):
        load_function(f"{tmp_path}/mine.py:f")()
    assert (sys.meta_path, sys.modules["__main__"]) == (finders, main)
    assert set(sys.path) - set(path) == {str(tmp_path)}
    assert sys.path[-1] == str(tmp_path)  # last, where it hides nothing
    sys.path.remove(str(tmp_path))


def test_threads_of_own_code_may_import_all_the_while(tmp_path: Path) -> None:
    """As those of a process pool do, which ended a trial."""
    __import__("rich.table")
    write(tmp_path, rich__in____init__="", rich__in__text="")
    text = """
import sys, threading, types
import rich.text
ended = threading.Event()
def change():
    while not ended.is_set():
        sys.modules["made"] = types.ModuleType("made")
        ended.is_set()  # another thread may take its turn here
        del sys.modules["made"]
thread = threading.Thread(target=change, daemon=True)
def f(is_over):
    if is_over:
        ended.set()
        thread.join()
    elif not thread.is_alive():
        thread.start()
"""
    f = called(tmp_path, text)
    with switching_often():
        for _ in range(300):
            f(False)
        f(True)
    assert "made" not in sys.modules


def test_an_import_of_a_thread_misses_no_place_when_a_step_ends(tmp_path: Path) -> None:
    text = (
        "import sys\ndef f():\n    walks = [iter(sys.path), iter(sys.meta_path)]\n"
        "    return walks, [next(walk) for walk in walks]\n"
    )
    f = called(tmp_path, text)
    places = [{*sys.path}, {*map(id, sys.meta_path)}]
    walks, _ = f()  # each stands behind the first place, which is the code's own
    for walk, all_places, of in zip(walks, places, (str, id), strict=True):
        assert all_places - {str(tmp_path)} <= {of(place) for place in walk}


def test_what_it_does_to_the_places_of_imports_stays(tmp_path: Path) -> None:
    """Whoever holds ``sys.path`` sees it, too; and what Python blocks stays blocked."""
    text = (
        "import sys\nfrom sys import path\nimport rich\n"
        "def f(place):\n    path.append(place)\n    return sys.path is path\n"
    )
    write(tmp_path, rich__in____init__="")
    f = called(tmp_path, text)
    held = sys.path
    assert f("/one")
    assert f("/two")
    assert sys.path is held
    assert held[-2:] == ["/one", "/two"]
    held.remove("/one")
    held.remove("/two")
    sys.modules["rich.jupyter"] = None  # type: ignore[assignment]
    try:
        assert f("/one")
        assert sys.modules["rich.jupyter"] is None
    finally:
        del sys.modules["rich.jupyter"]
        held.remove("/one")


def test_a_step_within_a_step_ends_only_itself(tmp_path: Path) -> None:
    project = Project(tmp_path)
    stage = Stage(tmp_path / "mine.py")
    before = [*sys.path]
    with project.running(stage):
        with project.running(stage):
            assert sys.path[0] == str(tmp_path)
        assert sys.meta_path[0] is project
        assert sys.path[0] == str(tmp_path)
    assert project not in sys.meta_path
    assert sys.path == [*before, str(tmp_path)]
    sys.path.remove(str(tmp_path))


def test_threads_of_own_code_may_open_files_all_the_while(tmp_path: Path) -> None:
    opened = Opened(tmp_path)
    files = [str(tmp_path / f"{number}.txt") for number in range(MOST_FILES)]
    with opened.noted(), switching_often():
        thread = threading.Thread(target=lambda: [opened.hear(file, "r") for file in files])
        thread.start()
        while thread.is_alive():
            assert opened.files() == []  # none of them exists
        thread.join()
    assert opened.count() == MOST_FILES


@contextmanager
def switching_often() -> Iterator[None]:
    """Threads take turns a thousand times as often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def test_what_is_drawn_while_it_is_imported_is_always_the_same(tmp_path: Path) -> None:
    import random

    import numpy
    import torch

    text = """
import random, numpy, torch
DRAWN = random.random(), numpy.random.rand(), float(torch.rand(()))
def f():
    return DRAWN
"""
    states = random.getstate(), torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist()
    drawn = called(tmp_path, text, "one")()
    after = random.getstate(), torch.get_rng_state().tolist(), numpy.random.get_state()[1].tolist()
    assert after == states
    torch.rand(3), numpy.random.rand(3), random.random()
    assert called(tmp_path, text, "two")() == drawn


@pytest.mark.parametrize("name", ["my-train", "train.v2", "01_train", "класс"])
def test_a_file_whose_name_is_no_identifier_is_taken(tmp_path: Path, name: str) -> None:
    called(tmp_path, "def f():\n    return f\n", name)
    f = load_function(f"{tmp_path}/{name}.py:f")
    assert f() is load_function(f"{tmp_path}/{name}.py:f")()


def test_a_function_that_is_missing_makes_nobody_import_ours_again() -> None:
    from spaces.experiment import Experiment

    with pytest.raises(InputError, match="has no function 'nothing'"):
        load_function(f"{Path(__file__).with_name('own_code.py')}:nothing")
    assert sys.modules["spaces.experiment"].Experiment is Experiment


def test_a_function_that_was_missing_is_found_once_it_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no function 'f'; it has g"):
        called(tmp_path, "def g(): pass\n")
    assert called(tmp_path, "def f():\n    return 'more than before'\n")() == "more than before"


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("", "must look like my_code.py:function or package.module:function, got ''"),
        ("train", "must look like"),
        (":f", "must look like"),
        ("a..b:f", "must look like"),
        ("mine.py:f g", "must look like"),
        ("mine.py:", "must look like"),
        ("nowhere.py:f", "there is no file nowhere.py"),
        ("no.where:f", "there is no module no.where in"),
        ("a" * 5000 + ".py:f", "there is no file"),
        ("a" * 5000 + ":f", "there is no module"),
        ("a\0b.py:f", "there is no file"),
        ("..:f", "must look like"),
        ("/:f", "must look like"),
        ("mine.txt:f", "there is no module mine.txt in"),
    ],
)
def test_what_names_no_function_is_told(
    reference: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("def f(): pass")
    with pytest.raises(InputError) as caught:
        load_function(reference)
    assert told in str(caught.value)


def test_the_files_of_a_project_are_known_without_running_it(package: Path) -> None:
    (package / "mypkg" / "train.py").write_text(
        "raise SystemError\nfrom mypkg.nets import WIDTH\ndef f():\n    import analysis.score\n"
    )
    (package / "broken.py").write_text("def")
    (package / "mypkg" / "nets.py").write_text("import broken, torch, no_such_module")
    (package / "unused.py").write_text("")
    names = [str(f.relative_to(package)) for f in code_files(f"{package}/mypkg/train.py:run")]
    own = ["analysis/__init__.py", "analysis/score.py", "broken.py"]
    assert names == [*own, "mypkg/__init__.py", "mypkg/nets.py", "mypkg/train.py"]


def test_what_it_reads_of_its_project_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "src"
    write(folder, plugin="X = 1")
    for name in ("src/stats.json", "data/words.txt", "src/.secret", "elsewhere"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    text = """
import importlib, pathlib
open(pathlib.Path(__file__).with_name("stats.json")).read()
def f():
    open("data/words.txt").read(), open("src/.secret").read(), open("/etc/hostname").read()
    open("written", "w").write("x"), open("written").read()
    importlib.import_module("plugin")
    try:
        open("data/gone")
    except OSError:
        pass
"""
    monkeypatch.chdir(tmp_path)
    called(folder, text)()
    (tmp_path / "elsewhere").read_text()  # not by own code
    taken = files_taken(f"{folder}/mine.py:f", {"files": ["from_before.csv"]})
    files = ["../data/words.txt", "from_before.csv", "mine.py", "plugin.py", "stats.json"]
    assert taken == {"files": files, "folder": ".."}


def test_what_was_taken_is_looked_up_again_when_there_is_more_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f(name):\n    open(name).read()\n"
    monkeypatch.chdir(tmp_path)
    f, reference = called(tmp_path, text), f"{tmp_path}/mine.py:f"
    first = files_taken(reference)
    assert files_taken(reference, first) is first
    (tmp_path / "words.txt").touch()
    f("words.txt")
    second = files_taken(reference, first)
    assert second["files"] == ["mine.py", "words.txt"]
    assert files_taken(reference, second) is second
    assert files_taken(reference, {"files": ["x"]})["files"] == ["mine.py", "words.txt", "x"]


def test_open_is_what_it_is_outside(tmp_path: Path) -> None:
    text = """
import builtins, io, pickle
KEPT = open

class Reader:
    opener = open

def f():
    assert pickle.loads(pickle.dumps(open)) is io.open
    assert Reader().opener(__file__).read(1) == chr(10)
    assert open.__name__ == "open"
    held = open
    builtins.open = lambda *args: held(*args)
    yield builtins.open
    yield builtins.open
    builtins.open = held
    yield pickle.loads(pickle.dumps(KEPT))
"""
    held = builtins.open
    try:
        steps = called(tmp_path, text)()
        patch = next(steps)
        assert builtins.open is patch  # which it would find there
        (tmp_path / "ours.txt").touch()
        open(tmp_path / "ours.txt").close()
        assert files_taken(f"{tmp_path}/mine.py:f")["files"] == ["mine.py"]
        assert callable(next(steps))
        assert callable(next(steps))
    finally:
        builtins.open = held
    assert io.open is held


@pytest.mark.parametrize("above", [".", "home", "home/me"])
def test_the_home_folder_and_those_above_are_no_part_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: str
) -> None:
    project = tmp_path / "home" / "me" / "work" / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    assert base_of(project, str(tmp_path / above)) == project
    assert base_of(project, "/") == project
    assert base_of(project, str(project.parent)) == project.parent


def test_python_and_what_is_installed_below_a_project_are_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, miniconda3__in__lib__in__standard="X = 1", work="X = 1")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "miniconda3"))
    pythons_below.cache_clear()
    try:
        project = Project(tmp_path)
        module = ModuleType("standard")
        module.__file__ = str(tmp_path / "miniconda3" / "lib" / "standard.py")
        assert not project._holds(module)
        module.__file__ = str(tmp_path / "work.py")
        assert project._holds(module)
        assert is_passed_over(str(tmp_path / "miniconda3" / "words.txt"), tmp_path)
        inside = Project(tmp_path / "miniconda3" / "lib")  # as /usr/src/app, with Python in /usr
        module.__file__ = str(tmp_path / "miniconda3" / "lib" / "mine.py")
        assert inside._holds(module)
        assert not is_passed_over(str(inside.root / "words.txt"), inside.root)
    finally:
        pythons_below.cache_clear()


def test_what_is_imported_from_above_a_project_is_none_of_its_files(tmp_path: Path) -> None:
    write(tmp_path, utils="X = 1", project__in__helper="")
    text = f"from ..utils import X\nfrom {'.' * 99}a import b\nimport helper\ndef f(): pass\n"
    (tmp_path / "project" / "mine.py").write_text(text)
    names = [file.name for file in code_files(f"{tmp_path}/project/mine.py:f")]
    assert names == ["helper.py", "mine.py"]


def test_ours_are_always_found_where_they_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, search__in____init__="raise SystemError", spaces="raise SystemError")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "search"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["shoal", "studies"])
    assert _shoal.main() == 0
    assert _shoal.PACKAGES == spaces.project.PACKAGES
