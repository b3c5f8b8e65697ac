"""Shoal as a wheel, in a folder whose files have the names of its packages and of Python's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
import ray
import yaml

from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from search.cli.main import main
from tests.support.processes import DEADLINE_SECONDS, RayCluster, wait_for_epochs
from tests.support.source import ROOT

CODE = """
import argparse
import ctypes
import logging
import multiprocessing
import os
import sys

import registry
from analysis.score import Score, score

logging.basicConfig(level=logging.INFO)
out = sys.stdout


@registry.register
class Model:
    pass


def double(value):
    print("printed by a child", os.getcwd())
    return 2 * value.x


def run(config, context):
    print("arguments", argparse.ArgumentParser().parse_args(), sys.argv[1:], os.getcwd())
    os.makedirs("elsewhere", exist_ok=True)
    os.chdir("elsewhere")
    for epoch in range(context.epoch, context.max_epochs):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            (doubled,) = pool.map(double, [Score(config["x"])])
        out.write(f"epoch {epoch}\\n")
        logging.info("logged in epoch %d", epoch)
        ctypes.CDLL(None).printf(b"printed by C\\n")
        yield {"score": score(doubled), "shipped": "runtime_resources" in __file__}
"""
FILES = {
    "mypkg/__init__.py": "",
    "mypkg/train.py": CODE,
    "analysis/__init__.py": "",
    "analysis/score.py": (
        "class Score:\n    def __init__(self, x):\n        self.x = x\n"
        "def score(x):\n    return x + 0.5\n"
    ),
    "registry.py": (
        "NAMES = set()\ndef register(kind):\n    assert kind.__name__ not in NAMES\n"
        "    NAMES.add(kind.__name__)\n    return kind\n"
    ),
    "search/__init__.py": "raise SystemError('search')",
    "spaces.py": "raise SystemError('spaces')",
    "trainables.py": "raise SystemError('trainables')",
    "profile.py": "print('a harmless script')",
    "own.yaml": yaml.safe_dump(
        {
            "name": "own",
            "trainable": "mypkg.train:run",
            "space": {"x": {"low": 0.0, "high": 1.0}},
            "baseline": {"x": 0.25},
            "metric": {"name": "score"},
            "scheduler": {"name": "none", "max_epochs": 2},
            "budget": {"trials": 2},
            "resources": {"cpus": 1, "gpus": 0},
        }
    ),
}


@pytest.fixture(scope="module")
def shoal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a wheel, installed beside the packages that this Python has."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("analysis", "search", "spaces", "trainables"):
        shutil.copytree(ROOT / name, folder / "source" / name)
    for name in ("_shoal.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    building = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, *building, str(folder / "source")], check=True)
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "base.pth").write_text(f"{Path(ray.__file__).parents[1]}\n")
    (wheel,) = folder.glob("*.whl")
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", str(wheel)], check=True)
    return folder / "venv" / "bin" / "shoal"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose files have names of ours and of Python's."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run(shoal: Path, project: Path, *arguments: str, path: str = "") -> str:
    """What a command prints; it must succeed."""
    ended = subprocess.run(
        [shoal, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


class Search(NamedTuple):
    """A search that ended: its folder, what it printed, and the addresses where it listened."""

    folder: Path
    out: str
    error: str
    addresses: set[str]


@pytest.fixture(scope="module")
def search(shoal: Path, project: Path) -> Search:
    """A search with own code, in the folder of its project, on a Ray of its own."""
    command = [shoal, "search", "own.yaml", "--run", "run"]
    started = subprocess.Popen(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_epochs(project / "run", 1, started)
    addresses = addresses_of(started.pid)
    out, error = started.communicate(timeout=DEADLINE_SECONDS)
    assert started.returncode == 0, out + error
    return Search(project / "run", out, error, addresses)


@pytest.fixture(scope="module")
def searched(search: Search) -> Path:
    """The folder of that search."""
    return search.folder


def addresses_of(pid: int) -> set[str]:
    """On which addresses a process and its children listen."""
    parent, found = psutil.Process(pid), set()
    for member in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # children of own code come and go
            connections = member.net_connections("inet")
            found |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return found


def test_a_search_listens_on_no_outside_address(search: Search) -> None:
    assert search.addresses
    assert search.addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_search_that_is_piped_prints_plain_lines_without_ray_s(search: Search) -> None:
    assert "\x1b" not in search.out + search.error
    starting, folder, *lines = search.error.splitlines()
    assert (starting, folder) == ("starting Ray …", "run")
    shown = [line for line in lines if re.match(r"0: none yet|\d of 2: ", line)]
    assert shown
    assert lines == [*shown, "ending Ray's processes …", "writing run/report.html …"]


def test_the_command_starts_whatever_stands_on_the_path(shoal: Path, project: Path) -> None:
    (project / "profile.py").rename(project / "profile.txt")  # else Python itself would break
    assert "quickstart" in run(shoal, project, "studies", path=".")
    (project / "profile.txt").rename(project / "profile.py")


def test_driver_and_workers_find_ours_and_own_code_finds_its_own(searched: Path) -> None:
    trials = Trials(read_journal(searched / "journal.jsonl"))
    assert [trial.state for trial in trials] == ["completed"] * 2
    for trial in trials:
        values = [report.metrics["score"] for report in trial.reports]
        assert values == [2 * trial.params["x"] + 0.5] * 2


@pytest.mark.parametrize("trial", [0, 1])
def test_the_log_of_a_trial_has_all_that_was_printed_in_it(searched: Path, trial: int) -> None:
    log = (searched / "logs" / f"{trial}.txt").read_text()
    folder = searched.parent
    assert f"arguments Namespace() [] {folder}\n" in log  # not where the trial before it went
    assert log.count(f"printed by a child {folder}/elsewhere\n") == 2
    for line in ("epoch 0", "epoch 1", "INFO:root:logged in epoch 1", "printed by C"):
        assert line in log
    assert "Error" not in log


def test_its_bundle_is_whole(
    searched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export", str(searched), "-o", str(tmp_path / "bundle")]) == 0
    code = tmp_path / "bundle" / "code"
    taken = {str(path.relative_to(code)) for path in code.rglob("*.py")}
    own = {"mypkg/__init__.py", "mypkg/train.py", "analysis/__init__.py", "analysis/score.py"}
    assert taken == {*own, "registry.py"}
    monkeypatch.chdir(tmp_path)
    assert main(["train", "bundle"]) == 0
    assert "difference 0" in capsys.readouterr().out


@pytest.mark.slow
def test_a_project_is_taken_to_the_nodes_of_a_cluster(shoal: Path, project: Path) -> None:
    with RayCluster(head_cpus=2) as cluster:
        run(shoal, project, "search", "own.yaml", "--run", "far", "--address", cluster.address)
    trials = Trials(read_journal(project / "far" / "journal.jsonl"))
    for trial in trials:
        assert [report.metrics["shipped"] for report in trial.reports] == [1.0, 1.0]
    assert "printed by a child" in (project / "far" / "logs" / "1.txt").read_text()


@pytest.mark.slow
def test_a_built_in_study_is_searched_there_too(shoal: Path, project: Path) -> None:
    changes = ["budget.trials=2", "scheduler.max_epochs=1", "resources.gpus=0"]
    options = [option for change in changes for option in ("--set", change)]
    run(shoal, project, "search", "quickstart", "--run", "qs", *options)
    trials = Trials(read_journal(project / "qs" / "journal.jsonl"))
    assert [trial.state for trial in trials] == ["completed"] * 2
