"""Searches in processes of their own: signals, crashes, what they print."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from analysis.record.journal import read_journal
from tests.support import examples
from tests.support.invariants import check_whole
from tests.support.processes import DEADLINE_SECONDS, shoal, slow_file, wait_for_epochs


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


@pytest.mark.slow
@pytest.mark.parametrize("end", [terminated, killed])
def test_a_search_that_was_ended_goes_on_where_it_was(
    end: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = shoal("search", slow_file(tmp_path), "--run", str(run))
    wait_for_epochs(run, 8, process)
    end(process)
    before = read_journal(run / "journal.jsonl")
    resumed = shoal("resume", str(run))
    _, error = resumed.communicate(timeout=DEADLINE_SECONDS)
    assert resumed.returncode == 0, error
    assert read_journal(run / "journal.jsonl")[: len(before)] == before
    check_whole(run, trials=8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_gpus_that_are_not_here_are_told_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump({**examples.experiment().plain(), "resources": {"gpus": 1}}))
    process = shoal("search", str(file), "--run", str(tmp_path / "run"))
    _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 2
    told = error.splitlines()[-1]
    assert told == "error: resources.gpus: 1 per trial asked for, but there are 0 here"
    assert not (tmp_path / "run").exists()


def test_a_search_prints_plain_lines_without_ray_s_and_listens_on_no_outside_address(
    tmp_path: Path,
) -> None:
    process = shoal("search", slow_file(tmp_path, trials=4), "--run", str(tmp_path / "run"))
    wait_for_epochs(tmp_path / "run", 2, process)
    listening = addresses_of(process.pid)
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    out, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert "\x1b" not in out + error
    starting, folder, *lines = error.splitlines()
    assert (starting, folder) == ("starting Ray …", str(tmp_path / "run"))
    shown = [line for line in lines if re.match(r"0: none yet|\d of 4: ", line)]
    assert shown
    ends = ["ending Ray's processes …", f"writing {tmp_path}/run/report.html …"]
    assert lines == [*shown, *ends]


def addresses_of(pid: int) -> set[str]:
    """On which addresses a process and its children listen."""
    parent = psutil.Process(pid)
    return {
        connection.laddr.ip
        for member in (parent, *parent.children(recursive=True))
        for connection in member.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
