"""Parallel coordinates: all parameters and the value side by side, a line a trial.

Plotly's own (``parcoords``) draws with WebGL, for which it evaluates code that it writes: the
page's policy, which lets no text become code, shows "WebGL is not supported" instead. It also has
no hover text, so no line could be traced to its trial. Optuna's figure is the same trace, of
completed trials only, of which ASHA leaves few. So these are plain lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import FloatDistribution

from analysis.display.tables import distinct_texts, show_value
from analysis.insight.axes import Axis
from analysis.record.trials import Trial
from analysis.report.drawing import aside
from analysis.report.section import Figure, Material, Section, Text, label
from analysis.report.sections.parameters import valued_sample
from spaces.metric import Metric

MOST_LINES = 200
MOST_COORDINATES = 12
_SHADES = 5  # of colour, from the poorest to the best
_NONE = object()
_ABSENT = -0.2  # where a trial stands that a parameter does not apply to; the others: 0 to 1


def parallel_section(material: Material) -> Section | None:
    """A line for each trial that has a value; None where fewer than two have one."""
    metric = material.metric
    valued = [t for t in material.trials.ranked(metric) if t.state != "running"]
    if len(valued) < 2 or not material.axes:
        return None
    drawn = sorted(valued_sample(material, valued, MOST_LINES), key=valued.index, reverse=True)
    shown = material.axes[:MOST_COORDINATES]
    caption = (
        f"A line for each trial, the stronger the better its {metric.name} is among those drawn."
    )
    if len(drawn) < len(valued):
        caption += f" {len(drawn)} of {len(valued):,} trials are drawn, an even sample."
    if len(shown) < len(material.axes):
        caption += f" {len(shown)} of {len(material.axes)} parameters are drawn, the first ones."
    has_absent = any(axis.name not in trial.params for axis in shown for trial in drawn)
    figure = _figure(drawn, shown, metric, has_absent, caption)
    note = [Text("“–”: the parameter does not apply to the trial.", "note")] if has_absent else []
    return Section("Parallel coordinates", "parallel", [figure, *note])


def _figure(
    trials: Sequence[Trial], axes: Sequence[Axis], metric: Metric, has_absent: bool, caption: str
) -> Figure:
    """Trials are drawn in their order, the best last: on top."""
    values = [value for trial in trials if (value := trial.value(metric)) is not None]
    columns = [Axis(metric.name, FloatDistribution(min(values), max(values))), *axes]
    data = [
        _shade(shade, trials[begin:end], columns, metric)
        for shade in range(_SHADES)
        for begin, end in [[len(trials) * n // _SHADES for n in (shade, shade + 1)]]
        if begin < end
    ]
    ticks = [
        (place, height, text)
        for place, axis in enumerate(columns)
        for height, text in [*_ticks(axis), *([(_ABSENT, "–")] if has_absent else [])]
    ]
    layout = {
        "xaxis": {
            "tickvals": list(range(len(columns))),
            "ticktext": [label(axis.name, 16) for axis in columns],
            "range": [-0.35, len(columns) - 0.8],
            "gridcolor": "--axis",
            "fixedrange": True,
        },
        "yaxis": {
            "range": [-0.25 if has_absent else -0.1, 1.1],
            "visible": False,
            "fixedrange": True,
        },
        "annotations": [_annotation(*tick) for tick in ticks],
        "height": 420,
        "showlegend": False,
        "hovermode": "closest",
    }
    return Figure(data, layout, caption, is_wide=True)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    """(height, text) of what is written beside an axis."""
    if axis.choices is not None:
        return [(_height(axis, choice), label(choice, 14)) for choice in axis.choices]
    low, high = axis.bounds
    if low == high:
        return [(0.5, show_value(axis.value(low)))]
    texts = distinct_texts([axis.value(place) for place in (low, (low + high) / 2, high)])
    return list(zip((0.0, 0.5, 1.0), texts, strict=True))


def _height(axis: Axis, value: Any) -> float:
    low, high = axis.bounds
    return 0.5 if low == high else (axis.place(value) - low) / (high - low)


def _shade(
    shade: int, trials: Sequence[Trial], columns: Sequence[Axis], metric: Metric
) -> dict[str, Any]:
    """One trace for the trials of a shade, with a gap between them."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    points: list[list[Any] | None] = []
    for trial in trials:
        for place, axis in enumerate(columns):
            held = trial.params.get(axis.name, _NONE) if place else trial.value(metric)
            height, text = _ABSENT, "–"
            if held is not _NONE:
                height, text = _height(axis, held), show_value(held)
                if axis.choices is not None:  # side by side
                    height += 0.3 * aside(trial.number) / len(axis.choices)
            xs.append(place)
            ys.append(height)
            points.append([trial.number, label(axis.name), label(text)])
        for each in (xs, ys, points):
            each.append(None)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"level {shade + 1} of {_SHADES}",
        "x": xs,
        "y": ys,
        "customdata": points,
        "hovertemplate": "trial %{customdata[0]}<br>%{customdata[1]}: %{customdata[2]}"
        "<extra></extra>",
        "line": {"color": f"--level-{shade}", "width": 1 + shade / 3},
        "opacity": 0.75,
    }


def _annotation(place: int, height: float, text: str) -> dict[str, Any]:
    return {
        "x": place,
        "y": height,
        "text": text,
        "showarrow": False,
        "xanchor": "right",
        "xshift": -5,
        "font": {"size": 11},
        "bgcolor": "--page",
        "opacity": 0.9,
        "borderpad": 0,
    }
