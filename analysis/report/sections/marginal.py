"""Effects: the mean at each level of each parameter, and of pairs of them as heat maps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from analysis.display.numbers import numbers
from analysis.display.tables import show_column
from analysis.insight.effects import Effect, Effects, Pair
from analysis.report.section import ByEpoch, Figure, Grid, Material, Section, Text, label
from spaces.experiment import Metric
from spaces.problems import InputError

MOST_EFFECTS = 30
_SCALE = [[place / 4, f"--level-{place}"] for place in range(5)]
_FIRST = (
    "Values at epoch {epoch}, which all trials reach: values of different epochs are never mixed. "
    "{trials:,} trials are counted{diverged}."
)
_LATER = (
    "Values at epoch {epoch}. {trials:,} trials are counted{diverged}; others were not trained so "
    "far, so these are survivors: a poor level looks better for what made up for it."
)


def effects_section(material: Material) -> Section | None:
    """The mean at each level, with its interval; None where nothing varies."""
    if material.is_first:
        return None
    try:
        found = material.effects
    except InputError:
        return None  # told where the importances would stand
    if not found[0].parameters:
        return None
    grids = {
        effects.epoch: Grid(
            [_effect(effect, material.metric) for effect in effects.parameters[:MOST_EFFECTS]],
            "The mean at each level, with its 95 % interval (Student's t). "
            + _told(effects, found[0]),
        )
        for effects in found
    }
    first, *later = [
        {"epoch": effects.epoch, "parameters": [asdict(e) for e in effects.parameters]}
        for effects in found
    ]
    return Section("Effects", "effects", [ByEpoch(grids)], {**first, "later": later})


def pairs_section(material: Material) -> Section | None:
    """Pairs of parameters as heat maps, with the number of trials in each cell."""
    if material.is_first:
        return None
    try:
        found = material.effects
    except InputError:
        return None
    metric = material.metric
    known = {effects.epoch: _known(effects) for effects in found}
    if not known[found[0].epoch]:
        return None
    grids = {
        effects.epoch: Grid(
            [_pair(pair, metric) for pair in known[effects.epoch]],
            f"The mean {metric.name} in each cell, and below it of how many trials. "
            + _told(effects, found[0]),
        )
        for effects in found
        if known[effects.epoch]
    }
    note = "A cell of one or two trials says little; where it is empty, none came so far."
    data = [asdict(pair) for pair in known[found[0].epoch]]
    return Section("Pairs", "pairs", [ByEpoch(grids), Text(note, "note")], data)


def _known(effects: Effects) -> list[Pair]:
    """The pairs of which any cell has a value."""
    return [pair for pair in effects.pairs if any(n for row in pair.counts for n in row)]


def _told(effects: Effects, first: Effects) -> str:
    diverged = f", {effects.diverged} of them diverged" if effects.diverged else ""
    text = _FIRST if effects is first else _LATER
    return text.format(epoch=effects.epoch, trials=effects.trials, diverged=diverged)


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
