"""Parallel coordinates: all parameters and the value side by side, a line a trial.

Optuna's ``plot_parallel_coordinate`` draws completed trials only, of which ASHA leaves few, in
colours that are made for white paper, and orders the axes by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.display.numbers import SHORT, digits_apart
from analysis.display.tables import show_value, told_apart
from analysis.record.trials import Trial
from analysis.report.section import Figure, Material, Section, Text, label
from analysis.report.sections.parameters import ParameterAxis, parameter_axes, valued_sample
from spaces.experiment import Metric

MOST_LINES = 200
MOST_COORDINATES = 12
_LEVELS = 5  # of colour, from the poorest to the best
_ABSENT = -0.2  # where a trial stands that a parameter does not apply to; the others: 0 to 1
_SPREAD = 0.3  # of the room of a choice that its trials take up
_GOLDEN = 0.618034


@dataclass(frozen=True)
class _Scale:
    """Where the values of one axis stand, from 0 to 1; ``digits``: how many are shown of one."""

    axis: ParameterAxis
    low: float
    high: float
    digits: int = SHORT

    def height(self, value: float) -> float:
        low, high = self.low, self.high
        if self.axis.is_log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return 0.5 if low == high else (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """(height, text) of what is written beside the axis."""
        if self.axis.choices:
            choices = enumerate(self.axis.choices)
            return [(self.height(place), label(choice, 14)) for place, choice in choices]
        if self.low == self.high:
            return [(0.5, show_value(self.low))]
        heights = (0.0, 0.5, 1.0)
        texts = told_apart([float(self._value(height)) for height in heights])
        return list(zip(heights, texts, strict=True))

    def _value(self, height: float) -> float:
        if self.axis.is_log:
            return self.low * math.pow(self.high / self.low, height)
        return self.low + (self.high - self.low) * height


def parallel_section(material: Material) -> Section | None:
    """A line for each trial that has a value; None where fewer than two have one."""
    metric = material.metric
    valued = [t for t in material.trials.finished if t.value(metric) is not None]
    axes = parameter_axes(material.experiment, valued)
    if len(valued) < 2 or not axes:
        return None
    drawn = valued_sample(material, valued, MOST_LINES)
    drawn.sort(key=lambda trial: _goodness(trial, metric))  # the best is drawn last, on top
    shown = axes[:MOST_COORDINATES]
    caption = (
        f"A line for each trial, the stronger the better its {metric.name} is among those drawn."
    )
    if len(drawn) < len(valued):
        caption += f" {len(drawn)} of {len(valued):,} trials are drawn, an even sample."
    if len(shown) < len(axes):
        caption += f" {len(shown)} of {len(axes)} parameters are drawn, the first of the file."
    notes = []
    if any(axis.name not in trial.params for axis in shown for trial in drawn):
        notes.append(Text("“–”: the parameter does not apply to the trial.", "note"))
    figure = _figure(drawn, shown, metric, caption)
    return Section("Parallel coordinates", "parallel", [figure, *notes])


def _goodness(trial: Trial, metric: Metric) -> float:
    value = trial.value(metric)
    assert value is not None
    return -value if metric.mode == "min" else value


def _figure(
    trials: Sequence[Trial], axes: Sequence[ParameterAxis], metric: Metric, caption: str
) -> Figure:
    value_axis = ParameterAxis(metric.name)
    values = [value for trial in trials if (value := trial.value(metric)) is not None]
    scales = [_Scale(value_axis, min(values), max(values), digits_apart(values))]
    scales += [_scale(axis, trials) for axis in axes]
    data = [
        _level(level, trials[begin:end], scales, metric)
        for level in range(_LEVELS)
        for begin, end in [[len(trials) * n // _LEVELS for n in (level, level + 1)]]
        if begin < end
    ]
    has_absent = any(axis.name not in trial.params for axis in axes for trial in trials)
    layout = {
        "xaxis": {
            "tickvals": list(range(len(scales))),
            "ticktext": [label(scale.axis.name, 16) for scale in scales],
            "range": [-0.35, len(scales) - 0.8],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
        "yaxis": {
            "range": [-0.25 if has_absent else -0.1, 1.1],
            "visible": False,
            "fixedrange": True,
        },
        "annotations": [
            _tick(place, height, text)
            for place, scale in enumerate(scales)
            for height, text in [*scale.ticks(), *([(_ABSENT, "–")] if has_absent else [])]
        ],
        "shapes": [_axis_line(place) for place in range(len(scales))],
        "height": 420,
        "showlegend": False,
        "hovermode": "closest",
    }
    return Figure(data, layout, caption, is_wide=True)


def _scale(axis: ParameterAxis, trials: Sequence[Trial]) -> _Scale:
    if axis.choices:
        return _Scale(axis, 0.0, len(axis.choices) - 1.0)
    values = [axis.place(t.params[axis.name]) for t in trials if axis.name in t.params]
    return _Scale(axis, min(values, default=0.0), max(values, default=0.0))


def _level(
    level: int, trials: Sequence[Trial], scales: Sequence[_Scale], metric: Metric
) -> dict[str, Any]:
    """One trace for the trials of a level, with a gap between them."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    told: list[list[Any] | None] = []
    for trial in trials:
        for place, scale in enumerate(scales):
            name = scale.axis.name
            held = trial.value(metric) if place == 0 else trial.params.get(name, "–")
            xs.append(place)
            ys.append(_height(scale, trial, held, is_absent=place > 0 and name not in trial.params))
            shown = held if isinstance(held, str | None) else show_value(held, scale.digits)
            told.append([trial.number, label(name), label(shown)])
        xs.append(None)
        ys.append(None)
        told.append(None)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"level {level + 1} of {_LEVELS}",
        "x": xs,
        "y": ys,
        "customdata": told,
        "hovertemplate": "trial %{customdata[0]}<br>%{customdata[1]}: %{customdata[2]}"
        "<extra></extra>",
        "line": {"color": f"--level-{level}", "width": 1 + level / 3},
        "opacity": 0.75,
    }


def _height(scale: _Scale, trial: Trial, value: Any, is_absent: bool) -> float:
    if is_absent:
        return _ABSENT
    height = scale.height(scale.axis.place(value))
    if len(scale.axis.choices) < 2:
        return height
    aside = (trial.number * _GOLDEN % 1 - 0.5) * _SPREAD / (len(scale.axis.choices) - 1)
    return height + min(0.08, max(-0.08, aside))


def _tick(place: int, height: float, text: str) -> dict[str, Any]:
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


def _axis_line(place: int) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": place,
        "x1": place,
        "y0": 0,
        "y1": 1,
        "line": {"color": "--axis", "width": 1},
        "layer": "below",
    }
