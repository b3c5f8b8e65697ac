"""Functions that are sent to Ray's workers by value."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search import run
from spaces.problems import InputError
from tests.support.source import ROOT

HELPERS = """
from pathlib import Path

def doubled(x):
    return float(Path(__file__).with_name("factor.txt").read_text()) * x
"""
SCRIPT = """
import os, signal, threading
from pathlib import Path

import numpy as np
from helpers import doubled
from search import resume, run

TABLE = np.arange(4.0)
LOCK = threading.Lock()

def train(config, context):
    total = context.load() or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        total += doubled(config["x"]) + TABLE.sum()
        context.save(total)
        context.report({"val_loss": total, "pid": os.getpid()})

def cannot_be_sent(config, context):
    yield {"val_loss": float(LOCK.locked())}

def world():
    return dict(os.environ), signal.getsignal(signal.SIGINT), Path.cwd()

before = world()
space = {"x": {"low": 0.0, "high": 1.0}}
found = run(train, space=space, metric="val_loss", trials=4, max_epochs=3, folder="run", show=False)
assert len(found.trials) == 4, found
assert found.state == "finished", found
pids = set(found.curves["metrics.pid"])
assert os.getpid() not in pids, pids
more = resume("run", train, trials=2, show=False)
assert len(more.trials) == 6, more
assert world() == before
try:
    run(cannot_be_sent, space=space, metric="val_loss", trials=1, folder="not", show=False)
except ValueError as error:
    message = str(error)
assert "cannot_be_sent can't be sent to the processes of Ray" in message, message
assert "engine: inline" in message
assert not Path("not").exists()
children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
print("children:", children.read_text() if children.exists() else "")
"""


@pytest.mark.slow
def test_a_script_searches_on_ray_twice_and_leaves_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project"  # the script is started from another folder
    project.mkdir()
    (project / "factor.txt").write_text("2")
    (project / "helpers.py").write_text(HELPERS)
    (project / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "project/script.py"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "children:"
    kept = (tmp_path / "run" / "code" / "given_train.py").read_text()
    assert "TABLE (of type ndarray)" in kept
    assert (tmp_path / "run" / "code" / "helpers.py").is_file()


@pytest.mark.usefixtures("local_ray")
def test_a_function_inside_of_another_is_sent_with_what_it_holds(tmp_path: Path) -> None:
    shift = np.full(3, 0.5)

    def train(config: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
        for _ in range(2):
            yield {"val_loss": float(helper(shift)) + config["x"]}

    found = run(
        train,
        space={"x": {"low": 0.0, "high": 1.0}},
        metric="val_loss",
        trials=3,
        engine="tune",
        folder=tmp_path / "run",
        show=False,
    )
    values = found.trials["value"] - found.trials["params.x"]
    assert [*values] == pytest.approx([1.5] * 3)


def helper(held: Any) -> Any:
    return held.sum()


@pytest.mark.usefixtures("local_ray")
def test_what_can_not_be_sent_is_told_before_anything_begins(tmp_path: Path) -> None:
    lock = threading.Lock()

    def train(config: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
        with lock:
            yield {"val_loss": 1.0}

    with pytest.raises(InputError, match=r"trainable: train can't be sent .* engine: inline"):
        run(
            train,
            space={"x": [1, 2]},
            metric="val_loss",
            trials=3,
            engine="tune",
            folder=tmp_path / "run",
            show=False,
        )
    assert not (tmp_path / "run").exists()
