"""Effects: the mean at each level of each parameter, and of pairs of them as heat maps."""

from __future__ import annotations

from analysis.display.numbers import numbers
from analysis.display.plain import plain
from analysis.display.tables import show_column
from analysis.insight.effects import Effect, Effects, Pair
from analysis.report.drawing import error_bars, level_axis, markers
from analysis.report.section import ByEpoch, Figure, Grid, Material, Section, Text, label
from spaces.metric import Metric

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
    found = material.effects
    if not found[0].parameters:
        return None
    grids = {
        effects.epoch: Grid(
            [_effect(effect, material.metric) for effect in effects.parameters[:MOST_EFFECTS]],
            "The mean at each level, with its 95 % interval (Student's t); open circles: single "
            "values, where they are fewer than five. " + _counted(effects, found[0]),
        )
        for effects in found
    }
    first, *later = [
        {"epoch": effects.epoch, "parameters": [plain(e) for e in effects.parameters]}
        for effects in found
    ]
    return Section("Effects", "effects", [ByEpoch(grids)], {**first, "later": later})


def pairs_section(material: Material) -> Section | None:
    """Pairs of parameters as heat maps, with the number of trials in each cell."""
    if material.is_first:
        return None
    found = material.effects
    metric = material.metric
    known = {effects.epoch: _known(effects) for effects in found}
    if not known[found[0].epoch]:
        return None
    grids = {
        effects.epoch: Grid(
            [_pair(pair, metric) for pair in known[effects.epoch]],
            f"The mean {metric.name} in each cell, and below it of how many trials. "
            + _counted(effects, found[0]),
        )
        for effects in found
        if known[effects.epoch]
    }
    note = "A cell of one or two trials says little; where it is empty, none came so far."
    data = [plain(pair) for pair in known[found[0].epoch]]
    return Section("Pairs", "pairs", [ByEpoch(grids), Text(note, "note")], data)


def _known(effects: Effects) -> list[Pair]:
    """The pairs of which any cell has a value."""
    return [pair for pair in effects.pairs if any(n for row in pair.counts for n in row)]


def _counted(effects: Effects, first: Effects) -> str:
    diverged = f", {effects.diverged} of them diverged" if effects.diverged else ""
    text = _FIRST if effects is first else _LATER
    return text.format(epoch=effects.epoch, trials=effects.trials, diverged=diverged)


def _effect(effect: Effect, metric: Metric) -> Figure:
    """Means with bars; of levels with too few values for a bar, the values."""
    levels = list(enumerate(effect.levels))
    means = [(place, lv, lv.mean) for place, lv in levels if lv.mean is not None and not lv.values]
    shown = numbers([mean for *_, mean in means])
    mean_points = [
        (place, mean, [label(lv.label), text, lv.n, lv.diverged])
        for (place, lv, mean), text in zip(means, shown, strict=True)
    ]
    single = [
        (place, value, [label(lv.label), lv.diverged])
        for place, lv in levels
        for value in lv.values
    ]
    traces = [
        markers(
            label(effect.parameter),
            mean_points,
            "%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]} configurations, "
            "%{customdata[3]} diverged",
            {"color": "--completed", "size": 8},
            error_y=error_bars([(mean, lv.low, lv.high) for _, lv, mean in means], "--completed"),
        ),
        markers(
            "single values",
            single,
            "%{customdata[0]}: %{y}<br>one configuration, %{customdata[1]} diverged",
            {"color": "--completed", "size": 6, "symbol": "circle-open"},
        ),
    ]
    ticks = [f"{label(level.label, 20)}<br>n={level.n}" for level in effect.levels]
    layout = {
        "xaxis": level_axis(effect.parameter, ticks),
        "yaxis": {"title": {"text": label(metric.name)}},
        "showlegend": False,
        "height": 280,
        "hovermode": "closest",
    }
    return Figure([trace for trace in traces if trace["x"]], layout)


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
        "reversescale": metric.is_minimized,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
    }
    layout = {
        "xaxis": level_axis(pair.column, [label(text, 18) for text in pair.column_labels]),
        "yaxis": level_axis(pair.row, [label(text, 18) for text in pair.row_labels]),
        "height": 120 + 52 * len(pair.row_labels),
    }
    return Figure([trace], layout)
