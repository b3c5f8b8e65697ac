"""The wall time of a plan, against that of real searches in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHOAL = [sys.executable, "-m", "search.cli.main"]
WITHIN = 0.3
TRIES = 3  # on a machine with other work, which may begin or end at any time


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "fused", "tune"])
def test_a_real_search_takes_as_long_as_was_planned(engine: str, tmp_path: Path) -> None:
    # no trial is stopped: how many ASHA lets go on differs more from search to search than this
    changes = ["scheduler.name=none", "scheduler.max_epochs=6", "budget.trials=64"]
    ratios = []
    for number in range(TRIES):
        ratios.append(_ratio([*changes, f"engine={engine}"], tmp_path / str(number)))
        if abs(ratios[-1] - 1) <= WITHIN:
            return
    pytest.fail(f"real times over planned ones: {ratios}")


def _ratio(changes: list[str], run: Path) -> float:
    settings = ["quickstart", *(part for change in changes for part in ("--set", change))]
    told = subprocess.run([*SHOAL, "plan", *settings, "--json"], check=True, capture_output=True)
    found = json.loads(told.stdout)
    planned = next(row for row in found["plans"] if row["workers"] == found["workers"])
    began = time.monotonic()
    command = [*SHOAL, "search", *settings, "--run", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    return float((time.monotonic() - began) / planned["seconds"]["typical"])
