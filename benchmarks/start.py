"""How long one waits: for ``import search``, ``shoal status``, and the first report of a search.

Each is a fresh process, started in turn; the first round, which fills the disk's cache, is left
out. The first report is that of an inline search of the digits, when it stands in the journal.
Wishes: 0.3 s, 1 s and 4 s on 2 quiet cores.

    python benchmarks/start.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hardware import describe_machine, summarize

RUN = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "earlier_version"
SHOAL = [sys.executable, "-m", "search.cli.main"]
TARGETS = {"import_search": 0.3, "status": 1.0, "first_report_inline": 4.0}


def import_search() -> float:
    return _seconds([sys.executable, "-c", "import search"])


def status() -> float:
    return _seconds([*SHOAL, "status", str(RUN)])


def first_report_inline() -> float:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [*SHOAL, "search", "quickstart", "--engine", "inline", "--run", str(run)]
        began = time.monotonic()
        search = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not _has_report(run / "journal.jsonl"):
            time.sleep(0.01)
        seconds = time.monotonic() - began
        search.kill()
        search.wait()
    return seconds


def _seconds(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def _has_report(journal: Path) -> bool:
    return journal.exists() and b'"event":"report"' in journal.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds until something is there.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    waits = {call.__name__: call for call in (import_search, status, first_report_inline)}
    seconds: dict[str, list[float]] = {name: [] for name in waits}
    for _ in range(rounds + 1):
        for name, call in waits.items():
            seconds[name].append(call())
    figures = {name: summarize(held[1:]) for name, held in seconds.items()}
    found = {"benchmark": "start", "seconds": figures, "targets": TARGETS}
    print(json.dumps({**found, **describe_machine(["torch", "optuna", "pydantic"])}))


if __name__ == "__main__":
    main()
