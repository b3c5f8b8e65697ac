"""How the search went: the value of trial after trial, and the learning curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from analysis.record.events import State
from analysis.record.trials import Reported, Trial
from analysis.report.drawing import markers, opening
from analysis.report.section import (
    Figure,
    Material,
    Section,
    label,
    sampled,
)
from spaces.metric import Metric

MOST_POINTS = 2000  # of the history
MOST_CURVES = 200
_FEW = 300  # points that can be drawn large
_WIDE_SPAN = 30  # the ratio of highest to lowest value from which on an axis begins logarithmic

SYMBOLS: dict[State, str] = {
    "running": "circle-open",
    "completed": "circle",
    "stopped": "triangle-down",
    "diverged": "x",
    "failed": "diamond",
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
    before = None if material.baseline is None else values.get(0)
    shown = [] if before is None else [before]
    axis = opening(finite, metric, _is_log(finite, metric), shown)
    data: list[dict[str, Any]] = []
    for state in ("stopped", "completed", "diverged", "failed"):
        points = [(place, trial) for place, trial in placed if trial.state == state]
        if points:
            data.append(_points(state, points, values, axis.bottom))
    if records:
        data.append(_best_line(records, len(ended), metric))
    if before is not None:
        data.append(_level("baseline", 1, len(ended), before))
    layout = {
        "xaxis": {"title": {"text": "trials, in the order of their ends"}},
        "yaxis": {"title": {"text": label(metric.name)}, **axis.layout},
        "hovermode": "closest",
    }
    caption = f"Each trial's {metric.name}, at its {metric.scope} epoch.{axis.note}"
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
    what = "no value" if state in ("diverged", "failed") else "%{y}"
    held = [(place, values[trial.number], trial) for place, trial in points]
    return markers(
        state,
        [(x, bottom if y is None else y, [trial.number, trial.epoch]) for x, y, trial in held],
        f"trial %{{customdata[0]}}: {what}<br>{state} after %{{customdata[1]}} epochs",
        {"symbol": SYMBOLS[state], "color": f"--{state}", "size": _size(len(points))},
    )


def _size(count: int) -> int:
    """Of so many markers, in pixels."""
    return 7 if count <= _FEW else 4


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


def _level(name: str, first: int, last: int, value: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [first, last],
        "y": [value, value],
        "hovertemplate": f"{name}: %{{y}}<extra></extra>",
        "line": {"color": "--baseline", "width": 1.5, "dash": "dash"},
    }


def _can_log(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0


def _is_log(values: Sequence[float], metric: Metric) -> bool:
    """Whether an axis begins logarithmic: losses that differ by more than a factor of 30."""
    return metric.is_minimized and _can_log(values) and max(values) > _WIDE_SPAN * min(values)


def curves_section(material: Material) -> Section:
    """The learning curves, by state."""
    metric, best, baseline = material.metric, material.best, material.baseline
    reported = [trial for trial in material.trials if trial.reports]
    special = {trial.number for trial in (best, baseline) if trial is not None}
    others = [trial for trial in reported if trial.number not in special]
    drawn = _sampled_by_state(others, MOST_CURVES - len(special))
    data: list[dict[str, Any]] = []
    for state in ("stopped", "diverged", "failed", "running", "completed"):
        curves = [trial for trial in drawn if trial.state == state]
        if curves:
            name = f"{state} ({len(curves)})"
            data += _curves(name, curves, metric, f"--{state}", SYMBOLS[state])
    if baseline is not None and baseline.reports:
        data += _curves("baseline", [baseline], metric, "--baseline", "square", width=2.5)
    if best is not None and best is not baseline:
        data += _curves(f"best (trial {best.number})", [best], metric, "--best", "star", width=3.0)
    values = [y for trace in data for y in trace["y"] if y is not None]
    needed = [] if baseline is None else [metric.of(report) for report in baseline.reports]
    shown = [value for value in needed if math.isfinite(value)]
    axis = opening(values, metric, _is_log(values, metric), shown)
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": label(metric.name)}, **axis.layout},
        "hovermode": "closest",
        "shapes": [_rung_line(epoch) for epoch in material.experiment.scheduler.rung_epochs],
    }
    caption = f"{metric.name} of each epoch, with a mark at each trial's last one.{axis.note}"
    if material.experiment.scheduler.rung_epochs:
        caption += " Dotted lines: the rungs, where trials are compared."
    if len(drawn) < len(others):
        caption += (
            f" {len(drawn) + len(special)} of {len(reported):,} trials are drawn: the best, the "
            "baseline, and an even sample of each state."
        )
    figure = Figure(data, layout, caption, ["x", "y"] if _can_log(values) else ["x"])
    return Section("Learning curves", "curves", [figure])


def _sampled_by_state(trials: Sequence[Trial], most: int) -> list[Trial]:
    """``most`` of the trials: of each state the same number, or all where there are fewer."""
    groups = [[trial for trial in trials if trial.state == state] for state in SYMBOLS]
    drawn: list[Trial] = []
    for place, group in enumerate(sorted(groups, key=len)):
        drawn += sampled(group, (most - len(drawn)) // (len(groups) - place))
    return drawn


def _curves(
    name: str,
    trials: Sequence[Trial],
    metric: Metric,
    color: str,
    symbol: str,
    width: float = 1.0,
) -> list[dict[str, Any]]:
    """A trace for the curves of several trials, with a gap between them, and one for their ends."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    numbers: list[int | None] = []
    for trial in trials:
        xs += [*(report.epoch for report in trial.reports), None]
        ys += [*(_finite(report, metric) for report in trial.reports), None]
        numbers += [*([trial.number] * trial.epoch), None]
    shared = {
        "type": "scatter",
        "name": name,
        "legendgroup": name,
        "hovertemplate": "trial %{customdata}, epoch %{x}: %{y}<extra></extra>",
        "opacity": 1.0 if width > 1 else 0.6,
    }
    lines = {"mode": "lines", "x": xs, "y": ys, "customdata": numbers}
    ends = {
        "mode": "markers",
        "x": [trial.epoch for trial in trials],
        "y": [_finite(trial.reports[-1], metric) for trial in trials],
        "customdata": [trial.number for trial in trials],
        "marker": {"color": color, "symbol": symbol, "size": 5 if width == 1 else 9},
        "showlegend": False,
    }
    return [{**shared, **lines, "line": {"color": color, "width": width}}, {**shared, **ends}]


def _finite(report: Reported, metric: Metric) -> float | None:
    value = report.metrics[metric.name]
    return value if math.isfinite(value) else None


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
