"""Shoal against its rivals, start-up and scale: measured within --minutes, written to RESULTS.md.

    make bench          or  python -m benchmarks.yardstick.run
    make bench-quick    or  python -m benchmarks.yardstick.run --quick

Every measurement is a line in ``results/rows.jsonl``, written at once. What today's code has
measured on this machine before counts, so a bench that was interrupted, or split with --only, goes
on where it ended. The page and its pictures are made anew from all rows after each part.

--quick tries 10 trials of the digits and small scales. Its rows and its page are in ``quick/``, and
no figure of it is published.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import optuna

from benchmarks.hardware import ROOT
from benchmarks.yardstick.jobs import JOBS
from benchmarks.yardstick.races import race
from benchmarks.yardstick.record import Record
from benchmarks.yardstick.scale import measure_scale
from benchmarks.yardstick.shown.page import page
from benchmarks.yardstick.shown.pictures import draw_pictures
from benchmarks.yardstick.startup import measure_starts

HERE = Path(__file__).parent
REPETITIONS = 5
QUICK_REPETITIONS = 2
QUICK_TRIALS = 10
SHARES = {"startup": 0.06, "digits": 0.36, "mnist": 0.34, "scale": 0.24}  # of the time
QUICK_SHARES = {"startup": 0.15, "scale": 0.2, "digits": 0.65}


class Places(NamedTuple):
    """Where rows, page and pictures go."""

    rows: Path
    page: Path
    pictures: Path


FULL = Places(HERE / "results" / "rows.jsonl", ROOT / "benchmarks" / "RESULTS.md", HERE / "results")
QUICK = Places(HERE / "quick" / "rows.jsonl", HERE / "quick" / "RESULTS.md", HERE / "quick")

Part = Callable[[float], None]  # given until when, by time.monotonic


def parts(record: Record, is_quick: bool) -> dict[str, Part]:
    """What can be measured, by name."""
    note = partial(print, flush=True)
    repetitions = QUICK_REPETITIONS if is_quick else REPETITIONS
    found: dict[str, Part] = {
        "startup": lambda until: measure_starts(record, repetitions, until, note),
        "scale": lambda until: measure_scale(record, is_quick, until, note),
    }
    for name, job in JOBS.items():
        trials = QUICK_TRIALS if is_quick else job.trials
        found[name] = partial(_race, name, trials, record, repetitions, note)
    return found


def _race(
    job: str, trials: int, record: Record, most: int, note: Callable[[str], None], until: float
) -> None:
    race(job, trials, record, most, until, note)


def deadlines(names: list[str], shares: dict[str, float], seconds: float) -> dict[str, float]:
    """After how many seconds each part has to end; what one leaves is there for those behind it."""
    whole, until, found = sum(shares[name] for name in names), 0.0, {}
    for name in names:
        until += seconds * shares[name] / whole
        found[name] = until
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a look; no figure is published")
    parser.add_argument("--minutes", type=float, help="in all; left out: 58, or 9 with --quick")
    parser.add_argument("--only", help="parts, with commas between: " + ", ".join(SHARES))
    options = parser.parse_args()
    shares = QUICK_SHARES if options.quick else SHARES
    usual = 9.0 if options.quick else 58.0
    minutes = usual if options.minutes is None else options.minutes
    if not minutes > 0:
        parser.error(f"--minutes must be above 0, got {minutes:g}")
    asked = options.only.split(",") if options.only else [*shares]
    if unknown := [name for name in asked if name not in shares]:
        parser.error(f"--only: there is no part {unknown[0]!r}; there are {', '.join(shares)}")
    names = [name for name in shares if name in asked]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    places = QUICK if options.quick else FULL
    places.pictures.mkdir(parents=True, exist_ok=True)
    record = Record(places.rows)
    begun = time.monotonic()
    measurements = parts(record, options.quick)
    for name, seconds in deadlines(names, shares, 60 * minutes).items():
        measurements[name](begun + seconds)
        places.page.write_text(page(record.rows, places.page.parent, places.pictures))
        draw_pictures(record.rows, places.pictures)
    print(f"written: {places.page}")


if __name__ == "__main__":
    main()
