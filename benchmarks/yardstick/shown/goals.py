"""What was wished for, and what is said beside a figure: met, or missed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.yardstick.contenders.each import CONTENDERS, ENGINES
from benchmarks.yardstick.record import Row, done_of, matching

TIMES_AS_FAST = {  # by job and rival
    ("digits", "stock_tune"): 20.0,
    ("digits", "tuned_tune"): 3.0,
    ("mnist", "stock_tune"): 10.0,
    ("mnist", "tuned_tune"): 3.0,
}
FIRST_REPORT_SECONDS = {"tune": 8.0, "inline": 4.0}
MOST_GROWTH = 1.5  # of memory and of the cost per event, after the first tenth of a long search


@dataclass(frozen=True)
class Goal:
    """A wish and a figure: ``what`` was to be ``at_least`` or ``at_most`` so much."""

    what: str
    figure: float
    n: int
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def is_met(self) -> bool:
        low, high = self.at_least, self.at_most
        return (low is None or self.figure >= low) and (high is None or self.figure <= high)

    @property
    def cells(self) -> list[str]:
        """As a row of a table: what, the wish, the figure, and whether it is met."""
        low, high = self.at_least, self.at_most
        wish = f"at most {high:g}{self.unit}" if low is None else f"at least {low:g}{self.unit}"
        verdict = "met" if self.is_met else "**missed**"
        return [self.what, wish, f"{self.figure:.2f}{self.unit}", str(self.n), verdict]


def median(rows: Sequence[Row], key: str) -> float | None:
    """Of those that have not failed."""
    values = [row[key] for row in done_of(rows)]
    return statistics.median(values) if values else None


def fastest_engine(rows: Sequence[Row]) -> str | None:
    """The engine of Shoal with the least median time, of the races in some rows."""
    seconds = {
        engine: found
        for engine in ENGINES
        if (found := median(matching(rows, contender=f"shoal_{engine}"), "seconds")) is not None
    }
    return min(seconds, key=lambda engine: seconds[engine]) if seconds else None


def in_words(rows: Sequence[Row]) -> str:
    """How many times as long as Shoal's the rivals took at a job; Shoal's fastest engine, and tune.

    Args:
        rows: of the job's races, of one commit.
    """
    rivals = {
        contender.title: seconds
        for name, contender in CONTENDERS.items()
        if not name.startswith("shoal")
        if (seconds := median(matching(rows, contender=name), "seconds")) is not None
    }
    told = []
    for engine in dict.fromkeys((fastest_engine(rows), "tune")):
        ours = median(matching(rows, contender=f"shoal_{engine}"), "seconds")
        if ours is not None and rivals:
            times = (f"{title} {seconds / ours:.2f}" for title, seconds in rivals.items())
            told.append(f"Times as long as Shoal, {engine} ({ours:.1f} s): {'; '.join(times)}.")
    return "\n".join(f"- {line}" for line in told)


def goals(races: Sequence[Row], starts: Sequence[Row], scale: Sequence[Row]) -> list[Goal]:
    """Each wish that there is a figure for.

    Args:
        races: their rows, of one commit.
        starts: as well.
        scale: as well.
    """
    found = []
    for (job, rival), times in TIMES_AS_FAST.items():
        rows = matching(races, job=job)
        engine, theirs = fastest_engine(rows), matching(rows, contender=rival)
        slow = median(theirs, "seconds")
        if engine is not None and slow is not None:
            ours = matching(rows, contender=f"shoal_{engine}")
            quick = median(ours, "seconds")
            assert quick is not None
            name = "stock Ray Tune" if rival == "stock_tune" else "an expert's Ray Tune"
            what = f"{job}: times as fast as {name} (Shoal, {engine})"
            n = min(len(done_of(ours)), len(done_of(theirs)))
            found.append(Goal(what, slow / quick, n, at_least=times))
    for engine, most in FIRST_REPORT_SECONDS.items():
        rows = matching(starts, what=engine)
        seconds = median(rows, "seconds")
        if seconds is not None:
            what = f"first report, engine {engine}"
            found.append(Goal(what, seconds, len(done_of(rows)), at_most=most, unit=" s"))
    return [*found, *_growth(scale)]


def _growth(scale: Sequence[Row]) -> list[Goal]:
    """Of the latest long search."""
    long = [row for row in done_of(scale) if row["what"].startswith("long")]
    found = []
    for row in long[-1:]:
        first, *_, last = row["tenths"]
        for key, name in (("event_ms", "cost of an event"), ("memory_mib", "memory")):
            what = f"{last['trials']:,} trials: {name}, last tenth against first"
            found.append(Goal(what, last[key] / first[key], 1, at_most=MOST_GROWTH))
    return found
