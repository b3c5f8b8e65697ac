"""What mattered: findings in sentences, and the importance of each parameter at each rung."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.display.numbers import fraction
from analysis.display.plain import plain
from analysis.insight.importance import Evaluator, RungImportance, Share
from analysis.insight.observations import shared_epoch
from analysis.report.drawing import error_bars, markers
from analysis.report.section import ByEpoch, Figure, Grid, Material, Part, Section, Text, label

MOST_PARAMETERS = 12  # in one figure
_COLOURS: Mapping[Evaluator, str] = {"ped-anova": "--best", "fanova": "--baseline"}
_LIFT: Mapping[Evaluator, float] = {"ped-anova": 0.15, "fanova": -0.15}  # one above the other
_CAPTION = (
    "Shares of what all parameters explain, over all trials that reached the epoch, early-stopped "
    "ones too, with 95 % intervals. PED-ANOVA asks what the best tenth has that the rest has not, "
    "fANOVA what explains the whole range. |: what chance reaches in 1 of 20 cases. Later epochs "
    "are about those that survived the earlier."
)


def mattered_section(material: Material) -> Section:
    """Findings, and the importance of each parameter."""
    if material.is_first:
        note = "This is being worked out; the page is then written again, with effects and pairs."
        return Section("What mattered", "mattered", [Text(note)])
    found, entries = material.findings, material.importance
    parts: list[Part] = [Text(f"{finding.sentence}.") for finding in found]
    if not found:
        parts.append(Text("Nothing that an interval supports, with so many trials."))
    else:
        chance = "Where nothing matters, 5 in 100 runs get any sentence; intervals in brackets."
        parts.append(Text(chance, "note"))
    first = shared_epoch(material.experiment, material.trials)
    drawn = sorted((e for e in entries if e.shares), key=lambda e: (e.epoch != first, e.epoch))
    if drawn:
        parts.append(ByEpoch({e.epoch: Grid([_figure(e)], _CAPTION) for e in drawn}))
    parts += [Text(f"Epoch {e.epoch}: {e.note}.", "note") for e in entries if e.note]
    data = {
        "findings": [plain(finding) for finding in found],
        "importance": [plain(entry) for entry in entries],
    }
    return Section("What mattered", "mattered", parts, data)


def _figure(entry: RungImportance) -> Figure:
    first = next(iter(entry.shares.values()))
    names = list(first)[:MOST_PARAMETERS][::-1]
    data = [
        trace
        for evaluator, shares in entry.shares.items()
        for trace in _traces(evaluator, [shares[name] for name in names], names)
    ]
    layout = {
        "xaxis": {"title": {"text": f"share, epoch {entry.epoch}"}, "range": [-0.02, 1.02]},
        "yaxis": {
            "tickvals": list(range(len(names))),
            "ticktext": [label(name, 18) for name in names],
            "range": [-0.6, len(names) - 0.4],
        },
        "height": 130 + 34 * len(names),
        "hovermode": "closest",
    }
    return Figure(data, layout, f"{entry.trials:,} trials")


def _traces(evaluator: Evaluator, shares: list[Share], names: list[str]) -> list[dict[str, Any]]:
    """The shares with their intervals; the marks of chance, where there are any."""
    heights = [place + _LIFT[evaluator] for place in range(len(names))]
    colour = _COLOURS[evaluator]
    rows = list(zip(names, shares, heights, strict=True))
    found = [
        markers(
            evaluator,
            [
                (s.value, h, [label(n), *map(fraction, (s.value, s.low, s.high))])
                for n, s, h in rows
            ],
            f"%{{customdata[0]}}, {evaluator}: %{{customdata[1]}} "
            "(%{customdata[2]} to %{customdata[3]})",
            {"color": colour, "size": 8},
            error_x=error_bars([(s.value, s.low, s.high) for s in shares], colour, width=0),
        )
    ]
    known = [(s.chance, h, fraction(s.chance)) for _, s, h in rows if s.chance is not None]
    line = {"symbol": "line-ns-open", "color": "--quiet", "size": 12, "line": {"width": 1.5}}
    return [
        *found,
        *([markers("chance", known, "by chance: %{customdata}", line)] if known else []),
    ]
