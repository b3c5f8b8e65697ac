"""Effects: the mean at each level of each parameter, and of pairs of them as heat maps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from analysis.effects import Effect, Pair
from analysis.numbers import numbers
from analysis.report.section import Figure, Grid, Material, Section, Text, label
from analysis.tables import show_column
from spaces.experiment import Metric
from spaces.problems import InputError

MOST_EFFECTS = 30
_SCALE = [[place / 4, f"--level-{place}"] for place in range(5)]
_EPOCH = (
    "Values at epoch {epoch}, the deepest that half of the trials reached: values of different "
    "epochs are never mixed. {trials:,} trials came so far{diverged}; others were stopped before."
)


def effects_section(material: Material) -> Section | None:
    """The mean at each level, with its interval; None where nothing varies."""
    if material.is_first:
        return None
    try:
        effects = material.effects
    except InputError:
        return None  # told where the importances would stand
    if not effects.parameters:
        return None
    shown = effects.parameters[:MOST_EFFECTS]
    figures = [_effect(effect, material.metric) for effect in shown]
    caption = "The mean at each level, with its 95 % interval (Student's t). " + _told(material)
    data = {"epoch": effects.epoch, "parameters": [asdict(e) for e in effects.parameters]}
    return Section("Effects", "effects", [Grid(figures, caption)], data)


def pairs_section(material: Material) -> Section | None:
    """Pairs of parameters as heat maps, with the number of trials in each cell."""
    if material.is_first:
        return None
    try:
        effects = material.effects
    except InputError:
        return None
    pairs = [pair for pair in effects.pairs if any(n for row in pair.counts for n in row)]
    if not pairs:
        return None
    metric = material.metric
    grid = Grid(
        [_pair(pair, metric) for pair in pairs],
        f"The mean {metric.name} in each cell, and below it of how many trials. " + _told(material),
    )
    note = "A cell of one or two trials says little; where it is empty, none came so far."
    data = [asdict(pair) for pair in pairs]
    return Section("Pairs", "pairs", [grid, Text(note, "note")], data)


def _told(material: Material) -> str:
    effects = material.effects
    diverged = f", {effects.diverged} of them diverged" if effects.diverged else ""
    return _EPOCH.format(epoch=effects.epoch, trials=effects.trials, diverged=diverged)


def _effect(effect: Effect, metric: Metric) -> Figure:
    known = [
        (place, level, level.mean)
        for place, level in enumerate(effect.levels)
        if level.mean is not None
    ]
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": label(effect.parameter),
        "x": [place for place, _, _ in known],
        "y": [mean for _, _, mean in known],
        "error_y": {
            "type": "data",
            "array": [0.0 if level.high is None else level.high - mean for _, level, mean in known],
            "arrayminus": [
                0.0 if level.low is None else mean - level.low for _, level, mean in known
            ],
            "color": "--completed",
            "thickness": 1.5,
        },
        "customdata": [
            [label(level.label), shown, level.n, level.diverged]
            for (_, level, _), shown in zip(
                known, numbers([mean for *_, mean in known]), strict=True
            )
        ],
        "hovertemplate": "%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]} configurations, "
        "%{customdata[3]} diverged<extra></extra>",
        "marker": {"color": "--completed", "size": 8},
    }
    x = {
        "title": {"text": label(effect.parameter)},
        "tickvals": list(range(len(effect.levels))),
        "ticktext": [f"{label(level.label, 20)}<br>n={level.n}" for level in effect.levels],
        "range": [-0.6, len(effect.levels) - 0.4],
    }
    y = {"title": {"text": label(metric.name)}}
    layout = {"xaxis": x, "yaxis": y, "showlegend": False, "height": 280, "hovermode": "closest"}
    return Figure([trace], layout)


def _pair(pair: Pair, metric: Metric) -> Figure:
    shown = iter(show_column([mean for row in pair.means for mean in row]))
    text = [
        [f"{mean}<br>n={n}" if (mean := next(shown)) else "" for n in row] for row in pair.counts
    ]
    trace = {
        "type": "heatmap",
        "z": pair.means,
        "x": list(range(len(pair.column_labels))),
        "y": list(range(len(pair.row_labels))),
        "text": text,
        "texttemplate": "%{text}",
        "colorscale": _SCALE,
        "reversescale": metric.mode == "min",
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
    }
    layout = {
        "xaxis": _ticks(pair.column, pair.column_labels),
        "yaxis": _ticks(pair.row, pair.row_labels),
        "height": 120 + 52 * len(pair.row_labels),
    }
    return Figure([trace], layout)


def _ticks(name: str, labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "title": {"text": label(name)},
        "tickvals": list(range(len(labels))),
        "ticktext": [label(text, 18) for text in labels],
    }
