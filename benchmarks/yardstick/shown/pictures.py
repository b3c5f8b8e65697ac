"""The pictures beside the page: the races, and where scale bends."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.yardstick.contenders.each import CONTENDERS
from benchmarks.yardstick.jobs import JOBS
from benchmarks.yardstick.record import Row, done_of
from benchmarks.yardstick.scale import SAMPLERS
from benchmarks.yardstick.shown.tables import figures_of, latest


def draw_pictures(rows: Sequence[Row], folder: Path) -> None:
    """Draw what there are rows for: ``races.png`` and ``scale.png``."""
    jobs = {job: found for job in JOBS if (found := latest(rows, part="race", job=job))}
    if jobs:
        figure = Figure(figsize=(5 * len(jobs), 4), layout="constrained")
        axes = figure.subplots(1, len(jobs), squeeze=False)[0]
        for axis, (job, found) in zip(axes, jobs.items(), strict=True):
            _draw_race(axis, job, found)
        figure.savefig(folder / "races.png", dpi=100)
    if scale := latest(rows, part="scale"):
        figure = Figure(figsize=(15, 4), layout="constrained")
        workers, suggestions, long = figure.subplots(1, 3)
        _plain(workers.xaxis)
        _plain(suggestions.xaxis, suggestions.yaxis)
        _draw_by_sampler(workers, scale, "efficiency", "efficiency", "simulated workers")
        _draw_by_sampler(suggestions, scale, "suggestion", "suggestion_ms", "trials that ended")
        suggestions.set(ylabel="a suggestion, ms")
        workers.set(ylabel="efficiency", ylim=(0, 1.05))
        _draw_long(long, scale)
        figure.savefig(folder / "scale.png", dpi=100)


def _draw_race(axis: Axes, job: str, rows: Sequence[Row]) -> None:
    """The median wall time of each, with each repetition as a point."""
    names = [name for name in CONTENDERS if figures_of(rows, name, "seconds")]
    for place, name in enumerate(reversed(names)):
        seconds = figures_of(rows, name, "seconds")
        color = "C0" if name.startswith("shoal") else "C7"
        median = statistics.median(seconds)
        axis.barh(place, median, color=color, alpha=0.6)
        axis.plot(seconds, [place] * len(seconds), "k.", markersize=4)
        axis.annotate(
            f"{median:.3g}",
            (max(seconds), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axis.set_yticks(range(len(names)), [CONTENDERS[name].title for name in reversed(names)])
    axis.set(title=job, xlabel="seconds, from the command to its end")
    axis.margins(x=0.2)  # room for the longest one's number


def _plain(*axes: Axis) -> None:
    """Numbers as they are, at powers of ten and twice and five times as much."""
    for axis in axes:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _draw_by_sampler(axis: Axes, scale: Sequence[Row], kind: str, key: str, label: str) -> None:
    for sampler in SAMPLERS:
        points = []
        for row in done_of(scale):
            name, of, size, *_ = row["what"].split()
            if (name, of) == (kind, sampler):
                points.append((int(size), row[key]))
        if points:
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=sampler)
    axis.set(xlabel=label)
    if axis.get_lines():
        axis.legend()


def _draw_long(axis: Axes, scale: Sequence[Row]) -> None:
    """Cost and memory of the long search, against its first tenth."""
    axis.set_visible(any(row["what"].startswith("long") for row in done_of(scale)))
    for row in done_of(scale):
        if row["what"].startswith("long"):
            tenths = row["tenths"]
            for key, label in (("event_ms", "CPU time of an event"), ("memory_mib", "memory")):
                ratios = [tenth[key] / tenths[0][key] for tenth in tenths]
                axis.plot([tenth["trials"] for tenth in tenths], ratios, marker="o", label=label)
            axis.legend()
    axis.axhline(1.5, color="C7", linestyle=":")
    axis.set(xlabel="trials", ylabel="times the first tenth", ylim=(0, None))
