"""The wall time that ``shoal plan`` tells, against that of real searches on this machine.

Each round is a plan and a search of the digits, each in a process of its own, one after the other,
for each engine. The first searches train all trials to the end; those of the second kind stop the
poor ones early, which makes them of very different lengths: of these the seeds differ, too.
``ratio`` is the real time over what the plan tells for as many epochs as the search trained. Wish:
within 30 % of 1.

    python -m benchmarks.plan --rounds 3
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from analysis.record.journal import each_event
from analysis.record.trials import Trials
from benchmarks.hardware import describe_machine, summarize

SHOAL = [sys.executable, "-m", "search.cli.main"]
ENGINES = ("inline", "fused", "tune")
KINDS = {
    "none": ["scheduler.name=none", "scheduler.max_epochs=6", "budget.trials=48"],
    "asha": ["budget.trials=60"],
}


def planned(settings: list[str]) -> dict[str, Any]:
    """The row of the plan for this machine."""
    command = [*SHOAL, "plan", "quickstart", *settings, "--json"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = json.loads(answer.stdout)
    rows: list[dict[str, Any]] = found["plans"]
    return next(row for row in rows if row["workers"] == found["workers"])


def real(settings: list[str]) -> tuple[float, int]:
    """Seconds and epochs of a search."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [*SHOAL, "search", "quickstart", *settings, "--run", str(run)]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        return seconds, Trials(each_event(run / "journal.jsonl")).epochs


def planned_seconds(plan: dict[str, Any], epochs: int) -> float:
    """What a plan tells for so many epochs, of which a search with ASHA trains more or fewer.

    That is on the line between its least and its most.
    """
    least, most = plan["epochs"]["low"], plan["epochs"]["high"]
    share = (epochs - least) / (most - least) if most > least else 0.0
    low, high = plan["seconds"]["low"], plan["seconds"]["high"]
    return float(low + share * (high - low))


def main() -> None:
    parser = argparse.ArgumentParser(description="Planned and real wall times of searches.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    arguments = parser.parse_args()
    for engine in arguments.engines:
        for kind, changes in KINDS.items():
            plans, found = [], []
            for seed in range(arguments.rounds):
                pairs = (*changes, f"engine={engine}", f"seed={seed}")
                settings = [part for pair in pairs for part in ("--set", pair)]
                plans.append(planned(settings))
                found.append(real(settings))
            ratios = [
                seconds / planned_seconds(plan, epochs)
                for (seconds, epochs), plan in zip(found, plans, strict=True)
            ]
            figures = {
                "benchmark": "plan",
                "engine": engine,
                "scheduler": kind,
                "planned_seconds": [plan["seconds"] for plan in plans],
                "real_seconds": [round(seconds, 2) for seconds, _ in found],
                "planned_epochs": [plan["epochs"] for plan in plans],
                "real_epochs": [epochs for _, epochs in found],
                "ratio": summarize(ratios),
            }
            machine = describe_machine(["torch", "ray"])
            print(json.dumps({**figures, **machine}), flush=True)


if __name__ == "__main__":
    main()
