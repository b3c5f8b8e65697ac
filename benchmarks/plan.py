"""The wall time that ``shoal plan`` tells, against that of real searches on this machine.

Each round is a plan and a search of the digits, each in a process of its own, one after the other,
for each engine. The first searches train all trials to the end; those of the second kind stop the
poor ones early, which makes them of very different lengths: of these the seeds differ, too.
``ratio`` is the real time over the planned one. Wish: within 30 % of 1 where no trial is stopped,
and a real time between the lowest and the highest of the plan, widened by that, where some are.

    python benchmarks/plan.py --rounds 3
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

from hardware import describe_machine, summarize

SHOAL = [sys.executable, "-m", "search.cli.main"]
ENGINES = ("inline", "fused", "tune")
KINDS = {
    "none": ["scheduler.name=none", "scheduler.max_epochs=6", "budget.trials=48"],
    "asha": ["budget.trials=60"],
}


def planned(settings: list[str]) -> dict[str, Any]:
    command = [*SHOAL, "plan", "quickstart", *settings, "--json"]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = json.loads(answer.stdout)
    rows: list[dict[str, Any]] = found["plans"]
    return next(row for row in rows if row["workers"] == found["workers"])


def real(settings: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [*SHOAL, "search", "quickstart", *settings, "--run", str(Path(folder, "run"))]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="Planned and real wall times of searches.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    arguments = parser.parse_args()
    for engine in arguments.engines:
        for kind, changes in KINDS.items():
            plans, seconds = [], []
            for seed in range(arguments.rounds):
                pairs = (*changes, f"engine={engine}", f"seed={seed}")
                settings = [part for pair in pairs for part in ("--set", pair)]
                plans.append(planned(settings)["seconds"])
                seconds.append(real(settings))
            ratios = [s / plan["typical"] for s, plan in zip(seconds, plans, strict=True)]
            figures = {
                "benchmark": "plan",
                "engine": engine,
                "scheduler": kind,
                "planned_seconds": plans,
                "real_seconds": [round(held, 2) for held in seconds],
                "ratio": summarize(ratios),
            }
            machine = describe_machine(["torch", "ray"])
            print(json.dumps({**figures, **machine}), flush=True)


if __name__ == "__main__":
    main()
