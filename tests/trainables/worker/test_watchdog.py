"""Processes that can't end themselves are ended from beside."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.processes import python
from trainables.worker.watchdog import Watchdog

WATCHED = """
import sys, time
from trainables.worker import watchdog
watchdog.GRACE_SECONDS = 0.0
dog = watchdog.Watchdog()
dog.begin(float(sys.argv[1]), sys.argv[2])
print(dog._process.pid, flush=True)
if len(sys.argv) > 3:
    dog.end()
time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 600)
"""


def started(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    """A watched process, and the pid of what watches it."""
    process = python("-c", WATCHED, *arguments)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} lives")


def test_a_stopped_process_is_killed_and_its_log_says_so(tmp_path: Path) -> None:
    process, _ = started("1.0", str(tmp_path / "log"))
    process.send_signal(signal.SIGSTOP)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert "did not end by itself at epoch_timeout_seconds: killed" in (
        (tmp_path / "log").read_text()
    )


def test_an_epoch_that_ended_in_time_kills_nobody(tmp_path: Path) -> None:
    process, watcher = started("0.5", str(tmp_path / "log"), "1.5")
    assert process.wait(timeout=60) == 0
    wait_until_gone(watcher)


def test_the_watcher_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    process, watcher = started("600", str(tmp_path / "log"))
    process.kill()
    process.wait()
    wait_until_gone(watcher)


def test_a_watcher_that_was_killed_harms_nobody(tmp_path: Path) -> None:
    dog = Watchdog()
    os.kill(dog._process.pid, signal.SIGKILL)
    dog._process.wait()
    dog.begin(0.1, str(tmp_path / "log"))
    dog.end()


@pytest.mark.parametrize("name", ["a b.txt", "ä\n数.txt", "\udcff"])
def test_a_log_of_any_name_is_found(tmp_path: Path, name: str) -> None:
    process, _ = started("0.1", os.fsencode(tmp_path / name).decode(errors="surrogateescape"))
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert "killed" in (tmp_path / name).read_text()
