"""Drivers that are killed at any moment, over and over: nothing is lost, doubled or forgotten."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from analysis.record.events import Report
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from spaces.experiment import Experiment
from tests.support import examples
from tests.support.driver import go_on
from tests.support.invariants import (
    check_ended_once,
    check_optuna_log,
    check_replay,
    check_rungs,
    check_whole,
    trials_in,
)
from tests.support.processes import DEADLINE_SECONDS, RayCluster, code_file, shoal

KINDS = {"created": 4, "report": 4, "checkpoint": 4, "finished": 2, "attempt": 1, "resumed": 1}
SPACE = {**examples.SPACE, "dropout": {"low": 0.0, "high": 0.7}}  # CMA-ES wants two numbers


def count_of(journal: Path, kind: str) -> int:
    """How many events of a kind a journal holds."""
    mark = f'"event":"{kind}"'.encode()
    return journal.read_bytes().count(mark) if journal.exists() else 0


def kill_after(process: BaseProcess, journal: Path, kind: str, count: int, delay: float) -> bool:
    """Kill a process once so many more events of a kind are in its journal; False: it ended."""
    wanted = count_of(journal, kind) + count
    deadline = time.monotonic() + DEADLINE_SECONDS
    while process.is_alive() and time.monotonic() < deadline and count_of(journal, kind) < wanted:
        time.sleep(0.0005)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == -9


def searched_under_fire(folder: Path, experiment: Experiment, kills: int) -> None:
    """Search to the end, with so many kills on the way."""
    chance = random.Random(f"{experiment.name} {experiment.sampler.name}")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.driver", "cmaes"])
    for kind, most in cycle(KINDS.items()):
        process = context.Process(target=go_on, args=(folder, experiment))
        process.start()
        if kills == 0:
            process.join(DEADLINE_SECONDS)
            assert process.exitcode == 0
            return
        delay = chance.choice((0.0, chance.uniform(0.0, 0.02)))
        count = chance.randint(1, most)
        kills -= kill_after(process, folder / "journal.jsonl", kind, count, delay)


@pytest.mark.parametrize(
    ("sampler", "name"),
    [("tpe", "steady"), ("tpe", "diverging"), ("cmaes", "diverging"), ("random", "diverging")],
)
def test_a_driver_that_is_killed_at_any_moment_loses_and_doubles_nothing(
    sampler: str, name: str, tmp_path: Path
) -> None:
    changes = {"sampler": {"name": sampler}, "space": SPACE, "budget": {"trials": 40}}
    experiment = examples.experiment(name=name, **changes)
    searched_under_fire(tmp_path, experiment, kills=6)
    trials = trials_in(tmp_path)
    check_ended_once(tmp_path, len(trials))
    assert {trial.state for trial in trials} >= {"completed", "stopped", "failed"}
    assert any(trial.state == "diverged" for trial in trials) == (name == "diverging")
    check_optuna_log(tmp_path)
    check_rungs(tmp_path, experiment)
    check_replay(tmp_path)


@pytest.mark.parametrize("lines", [1, 2])
def test_a_driver_that_died_just_before_it_wrote_the_end_of_the_run_is_resumed_to_it(
    lines: int, tmp_path: Path
) -> None:
    experiment = examples.experiment(name="steady")
    go_on(tmp_path, experiment)
    journal = tmp_path / "journal.jsonl"
    written = journal.read_bytes().splitlines(keepends=True)
    assert b'"ended"' in written[-1]
    assert b'"finished"' in written[-2]
    journal.write_bytes(b"".join(written[:-lines]))
    (tmp_path / "optuna.log").write_bytes(b"")
    go_on(tmp_path, experiment)
    assert read_journal(journal)[-1].event == "ended"
    check_ended_once(tmp_path, trials=12)
    check_optuna_log(tmp_path)


NOTING_CODE = """
import os, time

def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        with open(config["notes"], "a") as notes:
            notes.write(f"{context.seed} {epoch + 1} {os.getpid()}\\n")
        time.sleep(0.07)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""


@dataclass
class Note:
    """A line of the notes: a process begins an epoch."""

    seed: int
    epoch: int
    pid: int


@dataclass
class RealRun:
    """A search in processes of its own, whose driver is killed over and over.

    ``lives``: for each life of the driver, how many notes there were before it, and which epoch
    each trial, by its seed, had a checkpoint of.
    """

    folder: Path
    address: str | None
    sampler: str
    lives: list[tuple[int, dict[int, int]]] = field(default_factory=list)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def live(self) -> subprocess.Popen[str]:
        """Begin a life: start the run, resume it, or extend a finished one."""
        address = [] if self.address is None else ["--address", self.address]
        if not self.lives:
            self.lives.append((0, {}))
            changes = {"sampler": {"name": self.sampler}, "budget": {"trials": 40}}
            train = {"notes": str(self.folder / "notes")}
            file = code_file(self.folder / "code", NOTING_CODE, train=train, **changes)
            return shoal("search", file, "--run", str(self.run), *address)
        self.lives.append((len(self.notes()), self._saved()))
        more = [] if trials_in(self.run).ended is None else ["--trials", "8"]
        return shoal("resume", str(self.run), *more, *address)

    def _saved(self) -> dict[int, int]:
        trials = Trials()
        saved = {}
        for event in read_journal(self.run / "journal.jsonl"):
            trials.apply(event)
            if isinstance(event, Report):
                saved[trials.by_number[event.trial].seed] = event.epoch
        return saved

    def notes(self) -> list[Note]:
        """All notes so far."""
        file = self.folder / "notes"
        lines = file.read_text().splitlines() if file.exists() else []
        return [Note(*map(int, line.split())) for line in lines]

    def killed(self, process: subprocess.Popen[str], reports: int, seconds: float) -> bool:
        """Kill the driver so long after so many more reports; False: it had ended before."""
        journal = self.run / "journal.jsonl"
        wanted = count_of(journal, "report") + reports
        deadline = time.monotonic() + DEADLINE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if count_of(journal, "experiment") and count_of(journal, "report") >= wanted:
                break
            time.sleep(0.01)
        time.sleep(seconds)
        process.kill()
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode in (0, -9), error
        return process.returncode == -9

    def check_nothing_repeated(self) -> None:
        """In each life, a process begins a trial behind the trial's last known checkpoint."""
        notes = self.notes()
        for start, saved in self.lives:
            earlier = {note.pid for note in notes[:start]}
            seen: set[tuple[int, int]] = set()
            for note in notes[start:]:
                if note.pid not in earlier and (note.pid, note.seed) not in seen:
                    seen.add((note.pid, note.seed))
                    assert note.epoch > saved.get(note.seed, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "is_cluster", "kills"),
    [("tpe", False, 5), ("tpe", True, 10), ("random", True, 10)],
)
def test_a_search_on_ray_that_is_killed_at_any_moment_loses_doubles_and_repeats_nothing(
    sampler: str, is_cluster: bool, kills: int, tmp_path: Path
) -> None:
    chance = random.Random(f"{sampler} {is_cluster}")
    with RayCluster(head_cpus=2) if is_cluster else nullcontext() as cluster:
        real = RealRun(tmp_path, cluster and cluster.address, sampler)
        while kills > 0:
            reports = chance.choice((0, 1, 3, 8))
            seconds = chance.uniform(0.0, 0.3 if reports else 5.0)
            kills -= real.killed(real.live(), reports, seconds)
        last = real.live()
        _, error = last.communicate(timeout=DEADLINE_SECONDS)
        assert last.returncode == 0, error
    check_whole(real.run, len(trials_in(real.run)))
    check_optuna_log(real.run)
    check_replay(real.run)
    real.check_nothing_repeated()
