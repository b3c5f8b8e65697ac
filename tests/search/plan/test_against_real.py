"""The wall time of a plan, against that of real searches in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.record.journal import each_event
from analysis.record.trials import Trials
from benchmarks.plan import planned_seconds

SHOAL = [sys.executable, "-m", "search.cli.main"]
WITHIN = 0.3
TRIES = 3  # on a machine with other work, which may begin or end between the plan and the search
SEARCHES = {
    "no_trial_is_stopped": ["scheduler.name=none", "scheduler.max_epochs=6", "budget.trials=64"],
    "asha_stops_the_poor_ones": ["budget.trials=60"],
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("engine", ["inline", "fused", "tune"])
def test_a_real_search_takes_as_long_as_was_planned_for_as_many_epochs(
    engine: str, changes: list[str], tmp_path: Path
) -> None:
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
    row = next(row for row in found["plans"] if row["workers"] == found["workers"])
    began = time.monotonic()
    command = [*SHOAL, "search", *settings, "--run", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - began
    # how many epochs there will be differs from seed to seed by more than the 30 %, and
    # test_simulate.py holds their range
    return seconds / planned_seconds(row, Trials(each_event(run / "journal.jsonl")).epochs)
