"""Processes that die, hang or run out of memory, and checkpoints that are damaged."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Attempt, Report
from analysis.record.journal import read_journal
from search.cli.main import main
from tests.support.invariants import check_ended_once, check_whole, trials_in
from tests.support.processes import DEADLINE_SECONDS, code_file, shoal

on_ray = pytest.mark.usefixtures("local_ray")

# trial 0 meets the fault that its settings name, once it has done an epoch, in some of its lives
CODE = """
import os, pathlib, resource, time
import torch

def fill_memory(make):
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGESIZE") + 300_000_000
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    kept = []
    while True:
        kept.append(make(50_000_000))

FAULTS = {
    "kill": lambda: os.kill(os.getpid(), 9),
    "hang": lambda: time.sleep(600),
    "python memory": lambda: fill_memory(bytearray),
    "torch memory": lambda: fill_memory(torch.zeros),
}

def train(config, context):
    begun = pathlib.Path(config["begun"]) / str(config["step"])
    with begun.open("a") as lives:
        lives.write(f"{context.epoch} {os.getpid()}\\n")
    life = len(begun.read_text().splitlines())
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        if config["step"] == 0.5 and epoch >= 1 and life in config["faulty_lives"]:
            FAULTS[config["fault"]]()
        time.sleep(0.02)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""


class Faulty:
    """A search in a folder whose trial 0 meets a fault.

    Args:
        folder: where the run and the notes on the processes go.
        fault: a name in ``FAULTS``.
        lives: which of its processes meet it, from 1.
        changes: sections of the experiment.
    """

    def __init__(self, folder: Path, fault: str, *lives: int, **changes: Any) -> None:
        self.run = folder / "run"
        self._begun = folder / "begun"
        self._begun.mkdir(parents=True)
        settings = {"begun": str(self._begun), "fault": fault, "faulty_lives": list(lives)}
        defaults = {
            "train": settings,
            "baseline": {"step": 0.5},
            "sampler": {"name": "random"},
            "scheduler": {"name": "none", "max_epochs": 4},
            "budget": {"trials": 4},
        }
        self.file = code_file(folder, CODE, **{**defaults, **changes})

    def search(self) -> int:
        """Search; returns the exit code."""
        return main(["search", self.file, "--run", str(self.run)])

    def lives(self) -> list[tuple[int, int]]:
        """(epochs done before, pid) of each process that trained trial 0."""
        file = self._begun / "0.5"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def reasons(self) -> list[str]:
        """Why processes died, by the journal."""
        events = read_journal(self.run / "journal.jsonl")
        return [event.reason for event in events if isinstance(event, Attempt)]

    def reports(self) -> set[tuple[int, int, float]]:
        """(trial, epoch, score) of every report."""
        reports = (e for e in read_journal(self.run / "journal.jsonl") if isinstance(e, Report))
        return {(report.trial, report.epoch, report.metrics["score"]) for report in reports}


def check_went_on(faulty: Faulty, reason: str) -> None:
    """Trial 0 went on from its checkpoint in another process, once, and all completed."""
    check_whole(faulty.run, trials=4)
    assert trials_in(faulty.run).counts()["completed"] == 4
    (first_epoch, first_pid), (second_epoch, second_pid) = faulty.lives()
    assert (first_epoch, second_epoch) == (0, 1)
    assert first_pid != second_pid
    assert [reason in told for told in faulty.reasons()] == [True]


@on_ray
def test_a_killed_process_goes_on_in_another_and_changes_no_report_of_any_trial(
    tmp_path: Path,
) -> None:
    faulty = Faulty(tmp_path / "a", "kill", 1)
    sound = Faulty(tmp_path / "b", "kill", engine="inline")
    assert faulty.search() == sound.search() == 0
    check_went_on(faulty, "its process died")
    assert len(sound.lives()) == 1
    assert faulty.reports() == sound.reports()


@on_ray
@pytest.mark.slow
def test_an_epoch_that_hangs_once_is_trained_again_from_its_checkpoint(tmp_path: Path) -> None:
    faulty = Faulty(tmp_path, "hang", 1, epoch_timeout_seconds=10.0)
    assert faulty.search() == 0
    check_went_on(faulty, "its process died")


@on_ray
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("python memory", "MemoryError"),
        pytest.param("torch memory", "can't allocate memory", marks=pytest.mark.slow),
    ],
)
def test_a_trial_that_had_no_memory_left_goes_on_in_a_fresh_process(
    fault: str, reason: str, tmp_path: Path
) -> None:
    faulty = Faulty(tmp_path, fault, 1)
    assert faulty.search() == 0
    check_went_on(faulty, reason)


@on_ray
@pytest.mark.parametrize("fault", ["kill", pytest.param("python memory", marks=pytest.mark.slow)])
def test_a_trial_whose_process_dies_each_time_fails_and_the_others_complete(
    fault: str, tmp_path: Path
) -> None:
    faulty = Faulty(tmp_path, fault, 1, 2, max_failures=1)
    assert faulty.search() == 0
    check_ended_once(faulty.run, trials=4)
    failed, *others = trials_in(faulty.run)
    assert failed.state == "failed"
    assert failed.reason == faulty.reasons()[-1]
    assert failed.attempts == 1
    assert len(faulty.lives()) == 2
    assert {trial.state for trial in others} == {"completed"}


@on_ray
@pytest.mark.slow
def test_the_count_of_deaths_goes_on_when_the_search_is_resumed(tmp_path: Path) -> None:
    changes = {"max_failures": 3, "scheduler": {"name": "none", "max_epochs": 400}}
    faulty = Faulty(tmp_path, "kill", 1, 2, 4, 5, budget={"trials": 1}, **changes)
    search = shoal("search", faulty.file, "--run", str(faulty.run))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(faulty.lives()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    search.send_signal(signal.SIGINT)
    _, error = search.communicate(timeout=DEADLINE_SECONDS)
    assert search.returncode == 130, error
    (interrupted,) = trials_in(faulty.run)
    assert (interrupted.state, interrupted.attempts) == ("running", 2)
    assert main(["resume", str(faulty.run)]) == 1
    (failed,) = trials_in(faulty.run)
    assert (failed.state, failed.attempts) == ("failed", 3)
    assert len(faulty.lives()) == 5


DIES_AT_ITS_CLOSE = """
import os, pathlib

def train(config, context):
    try:
        yield {"score": config["step"]}
        yield {"score": config["step"] * 2}
    finally:
        mark = pathlib.Path(config["mark"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
"""


@on_ray
def test_a_process_that_dies_between_two_trials_fails_neither(tmp_path: Path) -> None:
    settings = {"train": {"mark": str(tmp_path / "mark")}, "resources": {"cpus": 2, "gpus": 0}}
    scheduler = {"name": "none", "max_epochs": 2}
    file = code_file(tmp_path, DIES_AT_ITS_CLOSE, scheduler=scheduler, **settings)
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 0
    assert (tmp_path / "mark").exists()
    check_whole(tmp_path / "run", trials=8)


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-300] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "harmed"),
    [
        (damage, 1),
        (damage, 2),
        (Path.unlink, 2),
    ],
)
def test_a_trial_goes_on_from_its_newest_whole_checkpoint_or_from_the_start(
    harm: Callable[[Path], None], harmed: int, tmp_path: Path
) -> None:
    changes = {"scheduler": {"name": "none", "max_epochs": 9}, "engine": "inline"}
    faulty = Faulty(tmp_path, "kill", budget={"trials": 1, "epochs": 4}, **changes)
    assert faulty.search() == 0
    assert trials_in(faulty.run).counts()["running"] == 1
    saved = sorted((faulty.run / "checkpoints" / "0").iterdir())
    epochs = [0, *(int(file.stem.removeprefix("epoch-")) for file in saved)]
    assert len(saved) == 2
    for file in saved[-harmed:]:
        harm(file)
    assert main(["resume", str(faulty.run), "--trials", "1"]) == 0
    assert [epoch for epoch, _ in faulty.lives()] == [0, epochs[-1 - harmed]]
    check_whole(faulty.run, trials=2)
