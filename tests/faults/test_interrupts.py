"""Ctrl-C and SIGTERM in the midst of long epochs; locks."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder, open_run, status_of
from analysis.record.journal import read_journal
from analysis.record.lock import RunLock
from search import signals
from search.cli.main import main
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from search.signals import SAME_SECONDS, interruptible
from search.transport.inline import Inline
from search.transport.on_ray.slots import Slots
from search.transport.on_ray.tune import Tune
from tests.support import examples
from tests.support.invariants import check_whole, trials_in
from tests.support.processes import DEADLINE_SECONDS, code_file, python, shoal, wait_for_epochs
from trainables.checkpoints.checkpoints import Checkpoints

TWO_SHORT_EPOCHS_THEN_LONG_ONES = """
import pathlib, time

def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        go = pathlib.Path(config["go"])
        while epoch == 2 and not go.exists():
            go.with_name(f"waits-{context.trial}").touch()
            time.sleep(0.1)
        total += config["step"]
        context.save(total)
        yield {"score": total}
"""


def long_file(folder: Path, engine: str = "auto") -> str:
    return code_file(
        folder,
        TWO_SHORT_EPOCHS_THEN_LONG_ONES,
        train={"go": str(folder / "go")},
        scheduler={"name": "none", "max_epochs": 4},
        budget={"trials": 2},
        engine=engine,
    )


def wait_for_long_epochs(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until both trials are in an epoch that does not end."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(list(folder.glob("waits-*"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for mark in folder.glob("waits-*"):
        mark.unlink()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_trial_in_mid_epoch_is_left_within_ten_seconds_or_at_once_and_keeps_its_checkpoint(
    number: signal.Signals, tmp_path: Path
) -> None:
    """Told once, a search ends in good order; told twice, at once; both go on where they were."""
    run = tmp_path / "run"
    process = shoal("search", long_file(tmp_path), "--run", str(run))
    wait_for_epochs(run, 4, process)
    wait_for_long_epochs(tmp_path, process)
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert f"interrupted; go on with: shoal resume {run}" in out
    check_left_in_mid_epoch(run)
    before = read_journal(run / "journal.jsonl")

    again = shoal("resume", str(run))
    wait_for_epochs(run, 1, again, event="resumed")
    for mark in tmp_path.glob("waits-*"):  # of the search's own workers
        mark.unlink()
    wait_for_long_epochs(tmp_path, again)
    again.send_signal(number)
    time.sleep(2 * SAME_SECONDS)
    began = time.monotonic()
    again.send_signal(number)
    out, _ = again.communicate(timeout=60)
    assert time.monotonic() - began < 2
    assert again.returncode == 130
    assert "go on with: shoal resume" in out

    (tmp_path / "go").touch()
    assert main(["resume", str(run), "--engine", "inline"]) == 0
    assert read_journal(run / "journal.jsonl")[: len(before)] == before
    check_whole(run, trials=2)
    assert trials_in(run).counts()["completed"] == 2


def check_left_in_mid_epoch(run: Path) -> None:
    """Both trials are running, and have a checkpoint of their second epoch."""
    folder, experiment, trials = open_run(run)
    assert trials.counts()["running"] == 2
    assert status_of(folder, experiment, trials, live=False)["state"] == "interrupted"
    for trial in trials:
        saved = Checkpoints(str(run / "checkpoints"), trial.number).load()
        assert saved is not None
        assert saved["training"]["epoch"] == 2


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended at once."""
    codes: list[int] = []
    monkeypatch.setattr(signals, "_leave", lambda stream, line, code: codes.append(code))
    return codes


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_twice_at_once_is_one(
    number: signal.Signals, tmp_path: Path, left: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = examples.coordinator(tmp_path)
    before = signal.signal(number, signal.SIG_DFL)  # nohup, say, has these tests ignore SIGHUP
    try:
        with interruptible(trainings, Inline(), "again"):
            monkeypatch.setattr(signals, "SAME_SECONDS", 60.0)  # however slow the machine
            for _ in range(3):  # the shell and the system, say
                os.kill(os.getpid(), number)
                time.sleep(0.003)
            assert trainings.is_interrupted
            assert left == []
            monkeypatch.setattr(signals, "SAME_SECONDS", 0.0)
            os.kill(os.getpid(), number)
            time.sleep(0.003)
            assert left == [130]
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_search_whose_processes_are_all_told_to_end_leaves_at_once(
    is_told: bool, tmp_path: Path, left: list[int]
) -> None:
    child = python("-c", "input()")
    with interruptible(examples.coordinator(tmp_path), Inline(), "again"):
        if is_told:
            child.terminate()
        os.kill(os.getpid(), signal.SIGTERM)
    assert left == ([130] if is_told else [])
    child.communicate("")


class _BrokenTuner:
    """Fails as Tune does when Ray's processes are gone."""

    def __init__(self, trainable: object, **settings: object) -> None:
        pass

    def fit(self) -> None:
        raise RuntimeError("the raylet is gone")


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_what_ray_raises_while_it_ends_too_is_part_of_the_interruption(
    is_interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.tune.Tuner", _BrokenTuner)
    monkeypatch.setattr("ray.tune.with_parameters", lambda trainable, **given: trainable)
    coordinator = examples.coordinator(tmp_path)
    coordinator.is_interrupted = is_interrupted
    tune = Tune()
    tune._slots = Slots(1, 0)
    dispatcher = Dispatcher(coordinator, RunFolder(tmp_path), Silent())
    if is_interrupted:
        tune.run(dispatcher, None)
    else:
        with pytest.raises(RuntimeError, match="the raylet is gone"):
            tune.run(dispatcher, None)


def test_a_lock_left_by_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    holder = python(
        "-c",
        "import sys, time; from pathlib import Path; from analysis.record.lock import RunLock\n"
        f"lock = RunLock(Path({str(tmp_path)!r}), is_new=True)\n"
        "print('held', flush=True); time.sleep(600)",
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(
        ValueError, match=f"is being searched by pid {holder.pid} on {os.uname()[1]}"
    ):
        RunLock(tmp_path)
    holder.kill()
    holder.communicate()
    RunLock(tmp_path).release()


def test_a_second_driver_is_refused_and_a_search_whose_journal_is_gone_ends_in_good_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    first = shoal("search", long_file(tmp_path, engine="inline"), "--run", str(run))
    wait_for_epochs(run, 2, first)
    assert main(["resume", str(run)]) == 2
    assert f"is being searched by pid {first.pid} on {os.uname()[1]}" in capsys.readouterr().err
    (run / "lock").unlink()  # opens no door
    assert main(["resume", str(run)]) == 2
    assert "is being searched by another process" in capsys.readouterr().err
    RunFolder(run).journal_file.unlink()
    (tmp_path / "go").touch()
    _, error = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "journal.jsonl was removed during the search; its events were saved as" in error
    (run / "journal-kept-1.jsonl").rename(RunFolder(run).journal_file)
    assert trials_in(run).epochs == 2
