"""Processes that die, hang or run out of memory, and checkpoints that are damaged."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Attempt
from analysis.record.journal import read_journal
from analysis.record.trials import Trial
from search.cli.main import main
from tests.support.invariants import check_ended_once, check_whole, trials_in
from tests.support.processes import DEADLINE_SECONDS, code_file, shoal

on_ray = pytest.mark.usefixtures("local_ray")

# a trial meets the fault that the settings name for its step, after an epoch, in some of its lives
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
    checkpoints = pathlib.Path(config["checkpoints"]) / str(context.trial)
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        fault, lives = config["faults"].get(str(config["step"]), (None, ()))
        if epoch >= 1 and life in lives:
            while not any(checkpoints.glob("epoch-*.pt")):  # it is written in the background
                time.sleep(0.01)
            FAULTS[fault]()
        time.sleep(0.02)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""


STEPS = (0.5, 0.25, 0.75, 1.0)  # of the trials, in their order


class Faulty:
    """A search in a folder some of whose trials meet a fault.

    Args:
        folder: where the run and the notes on the processes go.
        faults: by a trial's step: a name in ``FAULTS``, and in which of its processes, from 1.
        changes: sections of the experiment.
    """

    def __init__(
        self, folder: Path, faults: dict[float, tuple[str, list[int]]], **changes: Any
    ) -> None:
        self.run = folder / "run"
        self._begun = folder / "begun"
        self._begun.mkdir(parents=True)
        named = {str(step): list(fault) for step, fault in faults.items()}
        defaults = {
            "train": {
                "begun": str(self._begun),
                "faults": named,
                "checkpoints": str(self.run / "checkpoints"),
            },
            "space": {"step": list(STEPS)},
            "baseline": {"step": STEPS[0]},
            "sampler": {"name": "grid"},
            "scheduler": {"name": "none", "max_epochs": 4},
            "budget": {"trials": 4},
        }
        self.file = code_file(folder, CODE, **{**defaults, **changes})

    def search(self) -> int:
        """Search; returns the exit code."""
        return main(["search", self.file, "--run", str(self.run)])

    def lives(self, step: float = STEPS[0]) -> list[tuple[int, int]]:
        """(epochs done before, pid) of each process that trained the trial with a step."""
        file = self._begun / str(step)
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def trial(self, step: float) -> Trial:
        """The trial with a step."""
        return next(trial for trial in trials_in(self.run) if trial.params["step"] == step)

    def reasons(self, step: float = STEPS[0]) -> list[str]:
        """Why processes of the trial with a step died, by the journal."""
        number, events = self.trial(step).number, read_journal(self.run / "journal.jsonl")
        return [e.reason for e in events if isinstance(e, Attempt) and e.trial == number]

    def reports(self, step: float) -> list[Mapping[str, float]]:
        """What the trial with a step reported."""
        return [report.metrics for report in self.trial(step).reports]


def check_went_on(faulty: Faulty, step: float, reason: str) -> None:
    """A trial went on from its checkpoint in another process, once, and completed."""
    assert faulty.trial(step).state == "completed"
    (first_epoch, first_pid), (second_epoch, second_pid) = faulty.lives(step)
    assert (first_epoch, second_epoch) == (0, 1)
    assert first_pid != second_pid
    assert [reason in told for told in faulty.reasons(step)] == [True]


@on_ray
def test_trials_whose_processes_die_go_on_in_others_and_one_that_always_dies_fails(
    tmp_path: Path,
) -> None:
    """And no report of any trial differs from those of a search without a fault."""
    faults = {0.5: ("kill", [1]), 0.25: ("python memory", [1]), 0.75: ("kill", [1, 2])}
    faulty = Faulty(tmp_path / "faulty", faults, max_failures=1)
    sound = Faulty(tmp_path / "sound", {}, engine="inline")
    assert faulty.search() == sound.search() == 0
    check_ended_once(faulty.run, trials=4)
    check_went_on(faulty, 0.5, "its process died")
    check_went_on(faulty, 0.25, "MemoryError")
    failed = faulty.trial(0.75)
    assert (failed.state, failed.attempts, len(faulty.lives(0.75))) == ("failed", 1, 2)
    assert failed.reason == faulty.reasons(0.75)[-1]
    assert len(sound.lives()) == 1
    for step in (0.5, 0.25, 1.0):
        assert faulty.reports(step) == sound.reports(step)
    assert faulty.reports(0.75) == sound.reports(0.75)[:1]


@on_ray
@pytest.mark.slow
def test_an_epoch_that_hangs_once_is_trained_again_from_its_checkpoint(tmp_path: Path) -> None:
    faulty = Faulty(tmp_path, {0.5: ("hang", [1])}, epoch_timeout_seconds=10.0)
    assert faulty.search() == 0
    check_whole(faulty.run, trials=4)
    check_went_on(faulty, 0.5, "its process died")


@on_ray
@pytest.mark.slow
def test_a_trial_that_had_no_memory_left_for_a_tensor_goes_on_in_a_fresh_process(
    tmp_path: Path,
) -> None:
    faulty = Faulty(tmp_path, {0.5: ("torch memory", [1])})
    assert faulty.search() == 0
    check_whole(faulty.run, trials=4)
    check_went_on(faulty, 0.5, "can't allocate memory")


@on_ray
@pytest.mark.slow
def test_a_trial_that_never_has_enough_memory_fails_and_the_others_complete(
    tmp_path: Path,
) -> None:
    faulty = Faulty(tmp_path, {0.5: ("python memory", [1, 2])}, max_failures=1)
    assert faulty.search() == 0
    check_ended_once(faulty.run, trials=4)
    counts = trials_in(faulty.run).counts()
    assert (counts["failed"], counts["completed"]) == (1, 3)
    assert (faulty.trial(0.5).attempts, len(faulty.lives())) == (1, 2)


@on_ray
@pytest.mark.slow
def test_the_count_of_deaths_goes_on_when_the_search_is_resumed(tmp_path: Path) -> None:
    changes = {"max_failures": 3, "scheduler": {"name": "none", "max_epochs": 400}}
    faulty = Faulty(tmp_path, {0.5: ("kill", [1, 2, 4, 5])}, budget={"trials": 1}, **changes)
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
    faulty = Faulty(tmp_path, {}, budget={"trials": 1, "epochs": 4}, **changes)
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
