"""Searches in processes of their own: signals, crashes, clusters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from analysis.events import Report
from analysis.journal import read_journal
from analysis.trials import Trials
from tests import made

ROOT = Path(__file__).parents[2]

CLUSTER = """
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
print("address", cluster.address, flush=True)
while input() == "join":
    cluster.add_node(num_cpus=1, num_gpus=1)
cluster.shutdown()
"""


def python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python in a process of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdin=subprocess.PIPE,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def shoal(*arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return python("-m", "search.cli", *arguments)


def slow_file(folder: Path, trials: int = 8) -> str:
    """Own code with epochs of 0.1 s, whose score depends on its saved state."""
    (folder / "own.py").write_text(
        "import time\n"
        "def train(config, context):\n"
        "    total = context.state or 0.0\n"
        "    for epoch in range(context.epoch, context.max_epochs):\n"
        "        time.sleep(0.1)\n"
        "        total += config['step']\n"
        "        context.save(total)\n"
        "        yield {'score': total}\n"
    )
    data = {
        "name": "slow",
        "trainable": "own.py:train",
        "space": {"step": {"low": 0.0, "high": 1.0}},
        "metric": {"name": "score"},
        "scheduler": {"max_epochs": 9},
        "budget": {"trials": trials},
        "resources": {"gpus": 0},
    }
    (folder / "slow.yaml").write_text(yaml.safe_dump(data))
    return str(folder / "slow.yaml")


def wait_for_epochs(run: Path, epochs: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        file = run / "journal.jsonl"
        if file.exists() and file.read_bytes().count(b'"event":"report"') >= epochs:
            return
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"no {epochs} epochs: {process.communicate()}")


def check_whole(run: Path, trials: int) -> None:
    """Every trial ended once, every (trial, epoch) was reported once, by the right value."""
    events = read_journal(run / "journal.jsonl")
    told = Trials(events)
    assert len(told) == trials
    assert told.counts()["running"] == told.counts()["failed"] == 0
    reports = [event for event in events if isinstance(event, Report)]
    assert len({(report.trial, report.epoch) for report in reports}) == len(reports)
    for report in reports:
        step = told.by_number[report.trial].params["step"]
        assert report.metrics["score"] == pytest.approx(step * report.epoch)  # type: ignore[operator]


def interrupted(process: subprocess.Popen[str]) -> None:
    """Ctrl-C: the search ends in good order within 10 seconds and says how to go on."""
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert "interrupted; go on with: shoal resume" in out


def terminated(process: subprocess.Popen[str]) -> None:
    """SIGTERM to all processes, Ray's too, as from a batch system."""
    os.killpg(process.pid, signal.SIGTERM)
    began = time.monotonic()
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert "interrupted; go on with: shoal resume" in out


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("end", [interrupted, terminated, killed])
def test_a_search_that_was_ended_goes_on_where_it_was(
    end: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = shoal("search", slow_file(tmp_path), "--run", str(run))
    wait_for_epochs(run, 8, process)
    end(process)
    before = read_journal(run / "journal.jsonl")
    resumed = shoal("resume", str(run))
    _, error = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, error
    assert read_journal(run / "journal.jsonl")[: len(before)] == before
    check_whole(run, trials=8)


@pytest.mark.slow
def test_a_cluster_without_gpus_is_waited_for_and_used_when_nodes_join(tmp_path: Path) -> None:
    cluster, run = python("-c", CLUSTER), tmp_path / "run"
    assert cluster.stdout is not None
    assert cluster.stdin is not None
    try:
        address = next(line.split()[1] for line in cluster.stdout if line.startswith("address"))
        changes = ["--set", "resources.gpus=1", "--address", address]
        search = shoal("search", slow_file(tmp_path), "--run", str(run), *changes)
        assert search.stderr is not None
        told = next(line for line in search.stderr if line.startswith("waiting"))
        assert (
            told == "waiting: no node of the cluster has the 1 CPUs and 1 GPUs that a trial needs\n"
        )
        cluster.stdin.write("join\njoin\n")
        cluster.stdin.flush()
        _, error = search.communicate(timeout=120)
        assert search.returncode == 0, error
        check_whole(run, trials=8)
    finally:
        cluster.communicate("end\n", timeout=60)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_gpus_that_are_not_here_are_told_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump({**made.experiment().plain(), "resources": {"gpus": 1}}))
    process = shoal("search", str(file), "--run", str(tmp_path / "run"))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert error == "error: resources.gpus: 1 per trial asked for, but there are 0 here\n"
    assert not (tmp_path / "run").exists()


def test_what_a_search_prints_when_piped_is_plain_and_without_ray_s_chatter(
    tmp_path: Path,
) -> None:
    process = shoal("search", slow_file(tmp_path, trials=2), "--run", str(tmp_path / "run"))
    out, error = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "\x1b" not in out + error
    first, *lines = error.splitlines()
    assert first == str(tmp_path / "run")
    assert lines
    assert all(line.startswith(("0: none yet", "1 of 2: ", "2 of 2: ")) for line in lines)
