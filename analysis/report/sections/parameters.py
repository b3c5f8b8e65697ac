"""The value against each parameter: a small figure each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.insight.axes import Axis
from analysis.record.trials import Trial
from analysis.report.drawing import aside, level_axis, markers, opening
from analysis.report.section import Figure, Grid, Material, Section, label, sampled
from analysis.report.sections.history import SYMBOLS
from spaces.metric import Metric

MOST_POINTS = 5000  # in all small figures together
MOST_IN_ONE = 500
MOST_FIGURES = 30


def parameters_section(material: Material) -> Section | None:
    """The value of every trial against each parameter; None where no trial has a value."""
    trials = [t for t in material.trials.finished if t.value(material.metric) is not None]
    axes = material.axes
    if not axes or not trials:
        return None
    shown = axes[:MOST_FIGURES]
    drawn = valued_sample(material, trials, min(MOST_IN_ONE, MOST_POINTS // len(shown)))
    best = material.best
    figures = [_scatter(axis, drawn, material.metric, best) for axis in shown]
    caption = (
        "Each point is a trial. Trials that were stopped early have fewer epochs behind their "
        "value than completed ones."
    )
    if len(drawn) < len(trials):
        caption += f" {len(drawn):,} of {len(trials):,} trials are drawn, an even sample."
    if len(shown) < len(axes):
        caption += f" {len(shown)} of {len(axes)} parameters are drawn, the first of the file."
    caption += " Axes open on the values that matter; a double click shows all."
    return Section("Value by parameter", "parameters", [Grid(figures, caption)])


def valued_sample(material: Material, trials: Sequence[Trial], most: int) -> list[Trial]:
    """An even sample of trials, and the best one."""
    drawn, best = sampled(trials, most), material.best
    is_missing = best is not None and best.state != "running" and best not in drawn
    return [*drawn, best] if is_missing and best is not None else drawn


def _scatter(axis: Axis, trials: Sequence[Trial], metric: Metric, best: Trial | None) -> Figure:
    data = []
    for state in ("stopped", "completed"):
        points = [t for t in trials if t.state == state and axis.name in t.params]
        if points:
            marker = {"symbol": SYMBOLS[state], "color": f"--{state}", "size": 5, "opacity": 0.7}
            data.append(_trace(state, axis, points, metric, marker))
    if best is not None and axis.name in best.params:
        marker = {"symbol": "star", "color": "--best", "size": 13}
        data.append(_trace("best", axis, [best], metric, marker))
    x: dict[str, Any] = {"title": {"text": label(axis.name)}}
    if axis.choices is not None:
        x = level_axis(axis.name, [label(choice, 16) for choice in axis.choices])
    elif axis.is_log:
        x["type"], x["exponentformat"] = "log", "e"
    values = [y for trace in data for y in trace["y"]]
    y = {"title": {"text": label(metric.name)}, **opening(values, metric).layout}
    layout = {"xaxis": x, "yaxis": y, "showlegend": False, "height": 260, "hovermode": "closest"}
    return Figure(data, layout)


def _trace(
    name: str, axis: Axis, trials: Sequence[Trial], metric: Metric, marker: dict[str, Any]
) -> dict[str, Any]:
    points = [
        (_place(axis, t), t.value(metric), [t.number, label(t.params[axis.name])]) for t in trials
    ]
    hover = f"trial %{{customdata[0]}}, {name}<br>%{{customdata[1]}}: %{{y}}"
    return markers(name, points, hover, marker)


def _place(axis: Axis, trial: Trial) -> Any:
    """Where a trial stands; those with the same choice side by side."""
    value = trial.params[axis.name]
    return value if axis.choices is None else axis.place(value) + 0.5 * aside(trial.number)
