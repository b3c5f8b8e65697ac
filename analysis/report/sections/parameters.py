"""The value against each parameter: a small figure each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.record.trials import Trial
from analysis.report.section import Figure, Grid, Material, Section, label, sampled
from analysis.report.sections.history import SYMBOLS
from spaces.experiment import Experiment, Metric
from spaces.parameters import Choice, Scalar

MOST_POINTS = 5000  # in all small figures together
MOST_IN_ONE = 500
MOST_FIGURES = 30
_GOLDEN = 0.618034  # multiples of it fill an interval evenly


@dataclass(frozen=True)
class ParameterAxis:
    """How a parameter is drawn: its ``choices``, or where it has none a range of numbers."""

    name: str
    choices: tuple[Scalar, ...] = ()
    is_log: bool = False

    def place(self, value: Scalar) -> float:
        """Where a value stands: the number itself, or the place of the choice."""
        if self.choices:
            return next(n for n, choice in enumerate(self.choices) if _same(choice, value))
        return float(_number(value))


def parameter_axes(experiment: Experiment, trials: Sequence[Trial]) -> list[ParameterAxis]:
    """An axis for each parameter that a trial has.

    A space that is the user's function is not called for this: what its parameters are is read
    from their values, so that a report needs no code but ours.
    """
    values: dict[str, list[Scalar]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    space = experiment.space if isinstance(experiment.space, dict) else {}
    names = [name for name in space if name in values] + [n for n in values if n not in space]
    return [_axis(name, space.get(name), values[name]) for name in names]


def _axis(name: str, parameter: Any, values: Sequence[Scalar]) -> ParameterAxis:
    choices: list[Scalar] = list(parameter.choices) if isinstance(parameter, Choice) else []
    if not choices and all(map(_is_number, values)):
        is_log = parameter is not None and parameter.log
        return ParameterAxis(name, is_log=is_log and all(_number(v) > 0 for v in values))
    for value in values:
        if not any(_same(choice, value) for choice in choices):
            choices.append(value)
    return ParameterAxis(name, tuple(choices))


def _is_number(value: Scalar) -> bool:
    """Whether it can stand on an axis: a number that a float can hold."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(_number(value)) <= sys.float_info.max


def _number(value: Scalar) -> int | float:
    assert isinstance(value, int | float)
    return value


def _same(one: Scalar, other: Scalar) -> bool:
    return type(one) is type(other) and one == other


def parameters_section(material: Material) -> Section | None:
    """The value of every trial against each parameter; None where no trial has a value."""
    trials = [t for t in material.trials.finished if t.value(material.metric) is not None]
    axes = parameter_axes(material.experiment, trials)
    if not axes:
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
    return Section("Value by parameter", "parameters", [Grid(figures, caption)])


def valued_sample(material: Material, trials: Sequence[Trial], most: int) -> list[Trial]:
    """An even sample of trials, and the best one."""
    drawn, best = sampled(trials, most), material.best
    is_missing = best is not None and best.state != "running" and best not in drawn
    return [*drawn, best] if is_missing and best is not None else drawn


def _scatter(
    axis: ParameterAxis, trials: Sequence[Trial], metric: Metric, best: Trial | None
) -> Figure:
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
    if axis.choices:
        x["tickvals"] = list(range(len(axis.choices)))
        x["ticktext"] = [label(choice, 16) for choice in axis.choices]
        x["range"] = [-0.6, len(axis.choices) - 0.4]
    elif axis.is_log:
        x["type"], x["exponentformat"] = "log", "e"
    y = {"title": {"text": label(metric.name)}}
    layout = {"xaxis": x, "yaxis": y, "showlegend": False, "height": 260, "hovermode": "closest"}
    return Figure(data, layout)


def _trace(
    name: str, axis: ParameterAxis, trials: Sequence[Trial], metric: Metric, marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [_spread(axis, trial) for trial in trials],
        "y": [trial.value(metric) for trial in trials],
        "customdata": [[trial.number, label(trial.params[axis.name])] for trial in trials],
        "hovertemplate": f"trial %{{customdata[0]}}, {name}<br>%{{customdata[1]}}: %{{y}}"
        "<extra></extra>",
        "marker": marker,
    }


def _spread(axis: ParameterAxis, trial: Trial) -> float:
    """Where a trial stands; those with the same choice side by side, so that none hides another."""
    place = axis.place(trial.params[axis.name])
    return place + (trial.number * _GOLDEN % 1 - 0.5) * 0.5 if axis.choices else place
