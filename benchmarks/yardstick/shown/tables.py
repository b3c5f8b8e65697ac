"""The tables of the page, from rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.yardstick.contenders.each import CONTENDERS
from benchmarks.yardstick.record import Row, done_of, matching
from benchmarks.yardstick.shown.goals import fastest_engine, goals, median
from benchmarks.yardstick.startup import ENGINES, PHASES

FIGURES: dict[str, Callable[[float], str]] = {  # of a race: how each is written
    "seconds": "{:.1f}".format,
    "first_result_seconds": "{:.1f}".format,
    "cpu_seconds": "{:.1f}".format,
    "memory_mib": "{:.0f}".format,
    "trials": "{:.0f}".format,
    "epochs": "{:.0f}".format,
    "best": "{:.4f}".format,
}


def latest(rows: Sequence[Row], **what: Any) -> list[Row]:
    """The rows of some kind that are of the same commit and machine as the last one of them."""
    found = matching(rows, **what)
    return matching(found, **{k: found[-1][k] for k in ("commit", "machine")}) if found else []


def figures_of(rows: Sequence[Row], contender: str, key: str) -> list[float]:
    """Of the repetitions that came to their end."""
    return [row[key] for row in done_of(matching(rows, contender=contender))]


def with_spread(values: Sequence[float], write: Callable[[float], str]) -> str:
    """The median, and from the least to the most."""
    if not values:
        return "–"
    middle, low, high = map(write, (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def race_table(rows: Sequence[Row]) -> str:
    """What each contender took and found, the fastest first; those that failed say why."""
    named = ("seconds", "to the first result", "CPU seconds", "MiB", "trials", "epochs")
    named += ("ms for each epoch", "best")
    lines: list[tuple[float, list[str]]] = []
    for name, contender in CONTENDERS.items():
        mine = matching(rows, contender=name)
        seconds = figures_of(mine, name, "seconds")
        cells = [with_spread(figures_of(mine, name, key), write) for key, write in FIGURES.items()]
        per_epoch = [1000 * row["seconds"] / row["epochs"] for row in done_of(mine)]
        cells.insert(-1, with_spread(per_epoch, "{:.0f}".format))
        if seconds:
            lines.append((statistics.median(seconds), [contender.title, str(len(seconds)), *cells]))
        failed = [row for row in mine if "error" in row and not (row["is_late"] and seconds)]
        lines += [(math.inf, [contender.title, "0", *_cells(row, named)]) for row in failed]
    lines.sort(key=lambda line: line[0])
    return table(["contender", "n", *named], [cells for _, cells in lines])


def goal_table(races: Sequence[Row], starts: Sequence[Row], scale: Sequence[Row]) -> str:
    """Each goal with its figure, and whether it is met."""
    rows = [goal.cells for goal in goals(races, starts, scale)]
    return table(["what", "goal", "figure", "n", "verdict"], rows)


def start_table(starts: Sequence[Row]) -> str:
    """Seconds of each wait, and of the first reports by phase."""
    rows = []
    for name in ("import search", "shoal status", "import torch", *ENGINES):
        mine = matching(starts, what=name)
        done, shown = done_of(mine), f"first report, {name}" if name in ENGINES else name
        if done:
            total = with_spread([row["seconds"] for row in done], "{:.2f}".format)
            cpu = f"{statistics.median(row['cpu_seconds'] for row in done):.1f}"
            rows.append([shown, str(len(done)), total, cpu, *_phases(done)])
        elif mine:
            rows.append([shown, "0", *_cells(mine[-1], ("seconds", "cpu_seconds", *PHASES))])
    return table(["what", "n", "seconds", "CPU seconds", *PHASES], rows)


def _phases(rows: Sequence[Row]) -> list[str]:
    """The median seconds of each phase, where there are phases."""
    if "phases" not in rows[0]:
        return ["–"] * len(PHASES)
    return [f"{statistics.median(row['phases'][name] for row in rows):.2f}" for name in PHASES]


def farm_table(scale: Sequence[Row]) -> str:
    """Efficiency by sampler and workers."""
    rows = []
    for row in scale:
        kind, sampler, *numbers = row["what"].split()
        if kind == "efficiency":
            keys = ("efficiency", "report_ms", "suggestion_ms")
            rows.append([sampler, *numbers, *_cells(row, keys)])
    rows.sort(key=lambda cells: (cells[0], int(cells[1])))
    named = ("efficiency", "a report, ms", "a suggestion, ms")
    return table(["sampler", "workers", "trials", *named], rows)


def suggestion_table(scale: Sequence[Row]) -> str:
    """CPU time of a suggestion by sampler and trials."""
    rows = []
    for row in scale:
        kind, sampler, *numbers = row["what"].split()
        if kind == "suggestion":
            rows.append([sampler, *numbers, *_cells(row, ("suggestion_ms",))])
    rows.sort(key=lambda cells: (cells[0], int(cells[1])))
    return table(["sampler", "trials that ended", "a suggestion, ms"], rows)


def long_table(scale: Sequence[Row]) -> str:
    """A long search by tenths."""
    keys = ("event_ms", "report_ms", "suggestion_ms", "memory_mib")
    named = ("an event, ms", "a report, ms", "a suggestion, ms", "MiB")
    rows = []
    for row in scale:
        if row["what"].startswith("long"):
            tenths = row.get("tenths", [{"trials": 0, **row}])
            rows += [[f"{tenth['trials']:,}", *_cells(tenth, keys)] for tenth in tenths]
    return table(["trials", *named], rows)


def leaderboard(rows: Sequence[Row]) -> str:
    """A line for each commit and machine: the headline figures then."""
    lines = []
    seen = dict.fromkeys((row["commit"], row["machine"]) for row in rows)
    for commit, machine in reversed(seen):
        mine = matching(rows, commit=commit, machine=machine)
        races = matching(mine, part="race")
        cells = [_headline(matching(races, job=job)) for job in ("digits", "mnist")]
        starts = matching(mine, part="startup")
        waits = [median(matching(starts, what=engine), "seconds") for engine in ("inline", "tune")]
        waited = [f"{wait:.1f} s" if wait is not None else "–" for wait in waits]
        lines.append([mine[-1]["date"][:10], commit, machine, *cells, *waited])
    named = ("digits", "MNIST", "first report, inline", "tune")
    return table(["date", "commit", "hardware", *named], lines)


def _headline(rows: Sequence[Row]) -> str:
    """The fastest engine's seconds, and how many times that stock Tune and an expert's take."""
    engine = fastest_engine(rows)
    if engine is None:
        return "–"
    mine = matching(rows, contender=f"shoal_{engine}")
    seconds = median(mine, "seconds")
    assert seconds is not None
    rivals = [median(matching(rows, contender=r), "seconds") for r in ("stock_tune", "tuned_tune")]
    times = [f"{rival / seconds:.2f}" if rival is not None else "–" for rival in rivals]
    return f"{seconds:.1f} s ({engine}); stock {times[0]} times, expert {times[1]} times"


def _cells(row: Row, keys: Sequence[str]) -> list[str]:
    """The figures of a row; of one that failed, the end of why."""
    if "error" in row:
        reason = " ".join(row["error"].split())[-120:].replace("|", "/")
        return [reason, *["–"] * (len(keys) - 1)]
    return [f"{row[key]:g}" for key in keys]
