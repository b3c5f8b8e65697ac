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
from benchmarks.yardstick.record import Record, Row, matching

_LAST_CHARACTERS = 600  # of what a contender printed that failed


def race(
    job: str, trials: int, record: Record, most: int, until: float, note: Callable[[str], None]
) -> None:
    """Let the contenders take turns at a job, each in a fresh process.

    Repetitions that today's code has made on this machine before count. One that fails is left out
    from then on; so is one that is not done when the time is over.

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
        failed = {row["contender"] for row in rows if "error" in row}
        taking_part = [name for name in names if name not in failed]
        if not taking_part:
            return
        standings = {
            name: Standing(
                len(matching(rows, contender=name)),
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
        note(f"{job}, {name}, seed {seed}: {row.get('error') or '%.1f s' % row['seconds']}")


def _seconds_of_one(rows: list[Row]) -> float | None:
    seconds = [row["seconds"] for row in rows if "error" not in row]
    return statistics.median(seconds) if seconds else None


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
            return {"error": f"not done after {found.seconds:.0f} s", **seconds}
        if found.code != 0:
            return {"error": f"ended with {found.code}: {_end(found.output)}", **seconds}
        outcome = contender.outcome(folder)
    first = outcome.pop("first_result") - found.began
    return {
        **seconds,
        "first_result_seconds": round(first, 2),
        "cpu_seconds": round(found.cpu_seconds, 1),
        "memory_mib": round(found.memory_mib),
        **outcome,
    }


def _end(output: str) -> str:
    return output.strip()[-_LAST_CHARACTERS:]
