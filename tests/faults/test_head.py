"""Processes of Ray's that die, and terminals that are closed."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from search.transport.processes import ProcessAddress, watched
from tests.support.invariants import check_whole, trials_in
from tests.support.processes import (
    DEADLINE_SECONDS,
    code_file,
    process,
    shoal,
    slow_file,
    wait_for_epochs,
)


def listening() -> tuple[socket.socket, ProcessAddress]:
    """Something that listens on this machine."""
    server = socket.create_server(("127.0.0.1", 0))
    host, port = server.getsockname()
    return server, ProcessAddress("head", host, port, seconds=0.1, is_here=True)


def test_a_process_that_no_longer_listens_is_told_once() -> None:
    server, place = listening()
    other, alive = listening()
    dead: list[str] = []
    is_told = threading.Event()

    def tell(name: str) -> None:
        dead.append(name)
        is_told.set()

    with watched([alive, place], tell):
        assert not is_told.wait(2.5)
        server.close()
        assert is_told.wait(30)
        time.sleep(1.5)
    other.close()
    assert dead == ["head"]


def test_nothing_is_told_once_the_work_is_over() -> None:
    server, place = listening()
    dead: list[str] = []
    with watched([place], dead.append):
        server.close()
    time.sleep(2.5)
    assert dead == []


def test_a_head_elsewhere_may_come_back_meanwhile() -> None:
    server, place = listening()
    server.close()
    place.seconds = 600.0
    assert not place.is_dead()
    again = socket.create_server(("127.0.0.1", place.port))
    assert not place.is_dead()
    assert place.silent_since is None
    again.close()


def child(parent: int, name: str) -> psutil.Process:
    """A child process, by what its command ends with."""
    children = psutil.Process(parent).children()
    return next(one for one in children if one.cmdline()[0].endswith(name))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [("gcs_server", "head"), ("/raylet", "node")])
def test_when_a_process_of_ray_s_dies_the_driver_ends_with_how_to_go_on(
    kind: str, name: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    driver = shoal("search", slow_file(tmp_path, trials=40), "--run", str(run))
    wait_for_epochs(run, 8, driver)
    began = time.monotonic()
    child(driver.pid, kind).kill()
    _, error = driver.communicate(timeout=120)
    assert time.monotonic() - began < 60
    assert driver.returncode == 1
    line = f"error: Ray's {name} process died, nothing is lost; go on with: shoal resume {run}"
    assert error.splitlines()[-1] == line
    resumed = shoal("resume", str(run))
    _, error = resumed.communicate(timeout=DEADLINE_SECONDS)
    assert resumed.returncode == 0, error
    check_whole(run, trials=40)


FREEZING = """
import os, pathlib, signal, time

def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        mark = pathlib.Path(config["mark"])
        if epoch == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        total += config["step"]
        context.save(total)
        time.sleep(0.02)
        yield {"score": total}
"""


@pytest.mark.slow
def test_a_frozen_process_is_ended_from_beside_and_its_trial_starts_again(tmp_path: Path) -> None:
    changes = {"train": {"mark": str(tmp_path / "mark")}, "budget": {"trials": 4}}
    spec = code_file(tmp_path, FREEZING, epoch_timeout_seconds=2.0, **changes)
    driver = shoal("search", spec, "--run", str(tmp_path / "run"))
    _, error = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 0, error
    assert "starts again" in error
    assert sum(trial.attempts for trial in trials_in(tmp_path / "run")) == 1
    logs = "".join(file.read_text() for file in (tmp_path / "run" / "logs").iterdir())
    assert "did not end by itself at epoch_timeout_seconds: killed" in logs


@pytest.mark.slow
def test_a_frozen_process_without_a_timeout_is_told(tmp_path: Path) -> None:
    changes = {"train": {"mark": str(tmp_path / "mark")}, "budget": {"trials": 4}}
    run = tmp_path / "run"
    driver = shoal("search", code_file(tmp_path, FREEZING, **changes), "--run", str(run))
    assert driver.stderr is not None
    note = next(line for line in driver.stderr if "has not reported for" in line)
    pid = int(note.partition("(pid ")[2].split()[0])
    os.kill(pid, signal.SIGKILL)
    _, error = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 0, error
    assert "has not reported" not in error
    check_whole(run, trials=4)


@pytest.mark.slow
def test_a_closed_terminal_ends_the_search_in_good_order(tmp_path: Path) -> None:
    """SIGHUP goes to all processes of the session, Ray's too, and nobody reads what is said."""
    run = tmp_path / "run"
    driver = shoal("search", slow_file(tmp_path), "--run", str(run))
    wait_for_epochs(run, 8, driver)
    os.killpg(driver.pid, signal.SIGHUP)
    out, error = driver.communicate(timeout=60)
    assert driver.returncode == 130, error
    assert f"interrupted; go on with: shoal resume {run}" in out
    assert all(trial.attempts == 0 for trial in trials_in(run))


@pytest.mark.slow
def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["-m", "search.cli.main", "search", slow_file(tmp_path), "--run", str(run)]
    driver = process("nohup", sys.executable, *arguments)
    wait_for_epochs(run, 8, driver)
    os.killpg(driver.pid, signal.SIGHUP)
    _, error = driver.communicate(timeout=DEADLINE_SECONDS)
    assert driver.returncode == 0, error
    check_whole(run, trials=8)
