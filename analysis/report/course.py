"""How the search went: its history, the learning curves, the states, the rungs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from analysis.events import STATES, State
from analysis.report.section import (
    Cell,
    Figure,
    Material,
    Section,
    Table,
    Text,
    label,
    sampled,
)
from analysis.trials import Trial
from spaces.experiment import Metric

MOST_POINTS = 2000  # of the history
MOST_CURVES = 200
_WIDE_SPAN = 30  # the ratio of highest to lowest value from which on an axis begins logarithmic

SYMBOLS: dict[State, str] = {
    "running": "circle-open",
    "completed": "circle",
    "stopped": "triangle-down",
    "diverged": "x",
    "failed": "diamond",
}
_MEANINGS: dict[State, str] = {
    "running": "has not ended (yet)",
    "completed": "trained to its last epoch",
    "stopped": "stopped early by ASHA",
    "diverged": "the metric or a loss became NaN, infinite or very large",
    "failed": "an error in the code, or its process was lost",
}


def history_section(material: Material) -> Section:
    """The value of every trial in the order of their ends, and the best so far."""
    ended, metric = list(material.trials.finished), material.metric
    values = {trial.number: trial.value(metric) for trial in ended}
    records = _records(ended, metric)
    kept = {trial.number for _, trial in records}
    kept |= {trial.number for trial in sampled(ended, MOST_POINTS)}
    placed = [(place, t) for place, t in enumerate(ended, start=1) if t.number in kept]
    finite = [value for value in values.values() if value is not None]
    data: list[dict[str, Any]] = []
    for state in ("stopped", "completed", "diverged", "failed"):
        points = [(place, trial) for place, trial in placed if trial.state == state]
        if points:
            data.append(_points(state, points, values, _bottom(finite)))
    if records:
        data.append(_best_line(records, len(ended), metric))
    if material.baseline is not None and values.get(0) is not None:
        data.append(_level("baseline", 1, len(ended), values[0]))
    layout = {
        "xaxis": {"title": {"text": "trials, in the order of their ends"}},
        "yaxis": {"title": {"text": label(metric.name)}, "type": _axis_type(finite, metric)},
        "hovermode": "closest",
    }
    caption = f"Each trial's {metric.name}, at its {metric.scope} epoch."
    if len(placed) < len(ended):
        caption += f" {len(placed):,} of {len(ended):,} are drawn: each that was the best so far, "
        caption += "and an even sample of the others."
    if any(trial.value(metric) is None for _, trial in placed):
        caption += " Diverged and failed trials have no value: they stand at the lower edge."
    figure = Figure(data, layout, caption, ["y"] if _can_log(finite) else [])
    ends = [{"trial": trial.number, "best": trial.value(metric)} for _, trial in records]
    return Section("History", "history", [figure], ends)


def _records(ended: Sequence[Trial], metric: Metric) -> list[tuple[int, Trial]]:
    """(place, trial) of each trial that was better than all that ended before it."""
    records: list[tuple[int, Trial]] = []
    best: float | None = None
    for place, trial in enumerate(ended, start=1):
        value = trial.value(metric)
        if value is not None and (best is None or metric.better(value, best)):
            best = value
            records.append((place, trial))
    return records


def _points(
    state: State,
    points: Sequence[tuple[int, Trial]],
    values: dict[int, float | None],
    bottom: float,
) -> dict[str, Any]:
    shown = [values[trial.number] for _, trial in points]
    value_text = "no value" if state in ("diverged", "failed") else "%{y}"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": state,
        "x": [place for place, _ in points],
        "y": [bottom if value is None else value for value in shown],
        "customdata": [[trial.number, trial.epoch] for _, trial in points],
        "hovertemplate": f"trial %{{customdata[0]}}: {value_text}<br>{state} after "
        "%{customdata[1]} epochs<extra></extra>",
        "marker": {"symbol": SYMBOLS[state], "color": f"--{state}", "size": 7},
    }


def _best_line(records: Sequence[tuple[int, Trial]], last: int, metric: Metric) -> dict[str, Any]:
    values = [trial.value(metric) for _, trial in records]
    numbers = [trial.number for _, trial in records]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [*(place for place, _ in records), last],
        "y": [*values, values[-1]],
        "customdata": [*numbers, numbers[-1]],
        "hovertemplate": "best so far: %{y} (trial %{customdata})<extra></extra>",
        "line": {"shape": "hv", "color": "--best", "width": 2.5},
    }


def _level(name: str, first: int, last: int, value: float | None) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [first, last],
        "y": [value, value],
        "hovertemplate": f"{name}: %{{y}}<extra></extra>",
        "line": {"color": "--baseline", "width": 1.5, "dash": "dash"},
    }


def _bottom(values: Sequence[float]) -> float:
    """A little below the lowest value; above 0 where all values are, for a logarithmic axis."""
    if not values:
        return 0.0
    low, high = min(values), max(values)
    bottom = low - 0.06 * ((high - low) or abs(low) or 1.0)
    return low / 1.5 if low > 0 >= bottom else bottom


def _can_log(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0


def _axis_type(values: Sequence[float], metric: Metric) -> str:
    """Logarithmic for losses that differ by more than a factor of 30."""
    is_log = metric.mode == "min" and _can_log(values) and max(values) > _WIDE_SPAN * min(values)
    return "log" if is_log else "linear"


def curves_section(material: Material) -> Section:
    """The learning curves, by state."""
    metric, best, baseline = material.metric, material.best, material.baseline
    reported = [trial for trial in material.trials if trial.reports]
    special = {trial.number for trial in (best, baseline) if trial is not None}
    others = [trial for trial in reported if trial.number not in special]
    drawn = sampled(others, MOST_CURVES - len(special))
    data = []
    for state in ("stopped", "diverged", "failed", "running", "completed"):
        curves = [trial for trial in drawn if trial.state == state]
        if curves:
            data.append(_curves(f"{state} ({len(curves)})", curves, metric, f"--{state}", 1.0))
    if baseline is not None and baseline.reports:
        data.append(_curves("baseline", [baseline], metric, "--baseline", 2.5))
    if best is not None and best is not baseline:
        data.append(_curves(f"best (trial {best.number})", [best], metric, "--best", 3.0))
    values = [y for trace in data for y in trace["y"] if y is not None]
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": label(metric.name)}, "type": _axis_type(values, metric)},
        "hovermode": "closest",
        "shapes": [_rung_line(epoch) for epoch in material.experiment.scheduler.rung_epochs],
    }
    caption = f"{metric.name} of each epoch."
    if material.experiment.scheduler.rung_epochs:
        caption += " Dotted lines: the rungs, where trials are compared."
    if len(drawn) < len(others):
        caption += (
            f" {len(drawn) + len(special)} of {len(reported):,} trials are drawn: the best, the "
            "baseline, and an even sample of the others."
        )
    figure = Figure(data, layout, caption, ["x", "y"] if _can_log(values) else ["x"])
    return Section("Learning curves", "curves", [figure])


def _curves(
    name: str, trials: Sequence[Trial], metric: Metric, color: str, width: float
) -> dict[str, Any]:
    """One trace for several trials, with a gap between them."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    numbers: list[int | None] = []
    for trial in trials:
        values = [report.metrics[metric.name] for report in trial.reports]
        xs += [*(report.epoch for report in trial.reports), None]
        ys += [*(value if math.isfinite(value) else None for value in values), None]
        numbers += [*([trial.number] * len(values)), None]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": xs,
        "y": ys,
        "customdata": numbers,
        "hovertemplate": "trial %{customdata}, epoch %{x}: %{y}<extra></extra>",
        "opacity": 1.0 if width > 1 else 0.55,
        "line": {"color": color, "width": width},
        "marker": {"color": color, "size": 3 if width == 1 else 5},
    }


def _rung_line(epoch: int) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": epoch,
        "x1": epoch,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "--axis", "width": 1, "dash": "dot"},
        "layer": "below",
    }


def states_section(material: Material) -> Section:
    """How many trials are in each of the five states, zeros too."""
    counts = material.trials.counts()
    rows: list[list[Cell]] = [[state, counts[state], _MEANINGS[state]] for state in STATES]
    rows.append(["in all", len(material.trials), ""])
    return Section("States", "states", [Table(["state", "trials", "meaning"], rows)], counts)


def rungs_section(material: Material) -> Section:
    """How many trials came to each rung, and how many went on from it."""
    scheduler = material.experiment.scheduler
    rows = [_rung(material, epoch) for epoch in scheduler.rung_epochs]
    if not rows:
        text = f"No rungs: every trial may train to epoch {scheduler.max_epochs}."
        return Section("Rungs", "rungs", [Text(text)], [])
    columns = ["epoch", "entered", "passed", "share passed", "stopped", "diverged"]
    shares = [f"{row['passed'] / row['entered']:.0%}" if row["entered"] else "" for row in rows]
    cells: list[list[Cell]] = [
        [row["epoch"], row["entered"], row["passed"], share, row["stopped"], row["diverged"]]
        for row, share in zip(rows, shares, strict=True)
    ]
    note = (
        "Entered: trials that reported at that epoch; passed: those that went on from it: they "
        f"were among the best 1 in {scheduler.reduction_factor} of those that had come so far. "
        "Where later trials are better than earlier ones, more pass."
    )
    if material.baseline is not None:
        note += " The baseline always passes."
    return Section("Rungs", "rungs", [Table(columns, cells), Text(note, "note")], rows)


def _rung(material: Material, epoch: int) -> dict[str, int]:
    entered = [trial for trial in material.trials if trial.epoch >= epoch]
    passed = [t for t in entered if t.reports[epoch - 1].decision == "continue"]
    left = [trial for trial in entered if trial.reports[epoch - 1].decision == "stop"]
    return {
        "epoch": epoch,
        "entered": len(entered),
        "passed": len(passed),
        "stopped": sum(trial.state != "diverged" for trial in left),
        "diverged": sum(trial.state == "diverged" for trial in left),
    }
