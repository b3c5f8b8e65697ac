"""Searches in processes of their own: signals, crashes, what they print."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from analysis.record.journal import read_journal
from tests.support import examples
from tests.support.invariants import check_whole
from tests.support.processes import (
    DEADLINE_SECONDS,
    LIGHTNING_CODE,
    SLOW_CODE,
    TRANSFORMERS_CODE,
    code_file,
    reporting,
    shoal,
    wait_for_epochs,
)


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


CODES = {
    "yields": SLOW_CODE,
    "reports": reporting(SLOW_CODE),
    "lightning": LIGHTNING_CODE,
    "transformers": TRANSFORMERS_CODE,
}


@pytest.mark.slow
@pytest.mark.parametrize("end", [terminated, killed])
@pytest.mark.parametrize("code", CODES)
def test_a_search_that_was_ended_goes_on_where_it_was(
    end: Callable[[subprocess.Popen[str]], None], code: str, tmp_path: Path
) -> None:
    run, metric = tmp_path / "run", "eval_score" if code == "transformers" else "score"
    file = code_file(tmp_path, CODES[code], metric={"name": metric, "mode": "min"})
    process = shoal("search", file, "--run", str(run))
    wait_for_epochs(run, 8, process)
    end(process)
    before = read_journal(run / "journal.jsonl")
    resumed = shoal("resume", str(run))
    _, error = resumed.communicate(timeout=DEADLINE_SECONDS)
    assert resumed.returncode == 0, error
    assert read_journal(run / "journal.jsonl")[: len(before)] == before
    check_whole(run, 8, metric)


@pytest.mark.slow
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
