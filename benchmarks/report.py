"""How long a report takes, and how large it is, at 1,000 and at 10,000 trials of 27 epochs.

The journals are made as in ``scale.py``: by the real coordinator, every trial trained to its last
epoch (or with ``--asha`` stopped as ASHA does). Reading the journal is told apart from building
and writing the report.

    python benchmarks/report.py
    python benchmarks/report.py --trials 1000 --asha --keep /tmp/run
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna
from hardware import describe_machine
from scale import make

from analysis.record.folder import RunFolder, open_run
from analysis.report.build import WRITERS, build_report, write_report
from spaces.files import load_experiment

TARGETS = {"html_mb at 1,000 trials": 8.0, "seconds at 1,000 trials": 20.0}


def measure(path: Path, trials: int, asha: bool) -> dict[str, Any]:
    """Make a run, and report it in every format."""
    changes = [f"budget.trials={trials}", f"scheduler.name={'asha' if asha else 'none'}"]
    experiment = load_experiment("quickstart", changes)
    made = make(RunFolder(path), experiment)
    began = time.perf_counter()
    folder, experiment, found = open_run(path)
    figures: dict[str, Any] = {**made, "open_seconds": round(time.perf_counter() - began, 2)}
    for kind in WRITERS:
        began = time.perf_counter()
        file = folder.report_file(kind)
        write_report(build_report(folder, experiment, found), file, kind)
        figures[f"{kind}_seconds"] = round(time.perf_counter() - began, 2)
        figures[f"{kind}_mb"] = round(file.stat().st_size / 1e6, 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Reports of large runs: seconds and megabytes.")
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--asha", action="store_true", help="stop trials early")
    parser.add_argument("--keep", type=Path, help="where the runs stay; left out: nowhere")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for trials in arguments.trials:
            path = (arguments.keep or Path(scratch)) / str(trials)
            path.mkdir(parents=True)
            rows.append(measure(path, trials, arguments.asha))
    packages = ["optuna", "plotly", "pyarrow"]
    figures = {"benchmark": "report", "rows": rows, "targets": TARGETS}
    print(json.dumps({**figures, **describe_machine(packages)}))


if __name__ == "__main__":
    main()
