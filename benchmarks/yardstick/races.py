"""The same job for every contender: who is how fast, and what each found."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from benchmarks.hardware import ROOT
from benchmarks.yardstick.clock import Standing, next_contender, turns
from benchmarks.yardstick.contenders.each import CONTENDERS, contenders_here
from benchmarks.yardstick.measured import run
from benchmarks.yardstick.record import Record, Row, done_of, matching

_LAST_CHARACTERS = 600  # of what a contender printed that failed


def race(
    job: str, trials: int, record: Record, most: int, until: float, note: Callable[[str], None]
) -> None:
    """Let the contenders take turns at a job, each in a fresh process.

    Repetitions that today's code has made on this machine before count. A contender that failed is
    left out from then on. One that was not done when the time was over is tried again where more
    time is left.

    Args:
        job: its name.
        trials: how many each tries.
        record: where a row goes after each.
        most: repetitions of each.
        until: by ``time.monotonic``.
        note: is given a line for each.
    """
    names = contenders_here()
    what = {"part": "race", "job": job, "trials_asked": trials}
    while True:
        rows = record.here(**what)
        failed = {row["contender"] for row in rows if "error" in row and not row["is_late"]}
        taking_part = [name for name in names if name not in failed]
        if not taking_part:
            return
        standings = {
            name: Standing(
                len(done_of(matching(rows, contender=name))),
                _seconds_of_one(record.anywhen(**what, contender=name)),
            )
            for name in taking_part
        }
        fewest = min(standing.done for standing in standings.values())
        left = until - time.monotonic()
        name = next_contender(standings, turns(taking_part, fewest), most, left)
        if name is None:
            return
        seed = standings[name].done
        row = repetition(name, job, trials, seed, left)
        record.add({**what, "contender": name, "seed": seed, **row})
        note(f"{job}, {name}, seed {seed}: {row.get('error', 'done')}, {row['seconds']} s")


def _seconds_of_one(rows: list[Row]) -> float | None:
    """The median; of one that was never done in time, what was not enough, and None where none."""
    if seconds := [row["seconds"] for row in done_of(rows)]:
        return statistics.median(seconds)
    return max((row["seconds"] for row in rows if row["is_late"]), default=None)


def repetition(name: str, job: str, trials: int, seed: int, most_seconds: float) -> Row:
    """Run a contender once, and take what it left.

    Returns:
        Its figures: seconds to the end and to the first result, CPU seconds, MiB, what was trained;
        or ``error``, and after how many seconds.
    """
    contender = CONTENDERS[name]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        beside = {"PYTHONPATH": str(ROOT), "SYNETUNE_FOLDER": str(folder / "syne")}
        with patch.dict(os.environ, beside):
            found = run(
                contender.command(job, trials, seed, folder), most_seconds, folder / "printed"
            )
        seconds = {"seconds": round(found.seconds, 2)}
        if found.code is None:
            return {
                "error": f"not done after {seconds['seconds']:.0f} s",
                "is_late": True,
                **seconds,
            }
        if found.code != 0:
            message = f"ended with {found.code}: {found.output.strip()[-_LAST_CHARACTERS:]}"
            return {"error": message, "is_late": False, **seconds}
        outcome = contender.outcome(folder)
    first = outcome.pop("first_result") - found.began
    return {
        **seconds,
        "first_result_seconds": round(first, 2),
        "cpu_seconds": round(found.cpu_seconds, 1),
        "memory_mib": round(found.memory_mib),
        **outcome,
    }
