"""The trials that diverged or failed: which, where in the space, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.insight.failure_reasons import FailedFor, failures_by_reason
from analysis.insight.failures import FEWEST, FailuresBy
from analysis.record.trials import Trial
from analysis.report.drawing import error_bars, level_axis, markers
from analysis.report.section import (
    Cell,
    Figure,
    Grid,
    Material,
    Part,
    Section,
    Table,
    Text,
    label,
    sampled,
)
from spaces.problems import printable, shortened

MOST_FAILURES = 100
MOST_REASONS = 30
MOST_NUMBERS = 10
MOST_FIGURES = 30


def failures_section(material: Material) -> Section:
    """The trials that diverged or failed, where in the space they did, and why, in a word."""
    found = [t for t in material.trials if t.state in ("diverged", "failed") or t.attempts]
    if not found:
        text = "No trial diverged or failed, and no trial's process died."
        return Section("Failures", "failures", [Text(text)], [])
    data = [{**_row(trial), "reason": trial.reason} for trial in found]
    parts = [*_where(material), *_by_reason(found), *_restarted(found)]
    return Section("Failures", "failures", parts, data)


def _by_reason(found: Sequence[Trial]) -> list[Part]:
    """Each reason for which trials diverged or failed, once."""
    reasons = failures_by_reason(found)
    rows: list[list[Cell]] = [
        [entry.state, shortened(printable(entry.reason), 200), len(entry.trials), _span(entry)]
        for entry in reasons[:MOST_REASONS]
    ]
    parts: list[Part] = []
    if rows:
        parts.append(Table(["state", "reason", "how often", "trials"], rows))
    if len(reasons) > MOST_REASONS:
        text = f"{MOST_REASONS} of {len(reasons):,} reasons are listed, the most frequent ones."
        parts.append(Text(f"{text} The table of all trials has the others.", "note"))
    return parts


def _span(entry: FailedFor) -> str:
    """The numbers of the trials, or of the first ones."""
    numbers = [str(trial.number) for trial in entry.trials]
    more = "" if len(numbers) <= MOST_NUMBERS else ", …"
    return ", ".join(numbers[:MOST_NUMBERS]) + more


def _restarted(found: Sequence[Trial]) -> list[Part]:
    """The trials whose processes died, an even sample where there are many."""
    died = [trial for trial in found if trial.attempts]
    rows: list[list[Cell]] = [
        [trial.number, trial.state, trial.epoch, trial.attempts]
        for trial in sampled(died, MOST_FAILURES)
    ]
    if not rows:
        return []
    parts: list[Part] = [Table(["trial", "state", "epochs", "times its process died"], rows)]
    if len(rows) < len(died):
        text = f"{len(rows)} of {len(died):,} whose process died are listed, an even sample."
        parts.append(Text(text, "note"))
    return parts


def _where(material: Material) -> list[Part]:
    """Where in the space trials diverged or failed: sentences, and the share at each level."""
    explained = material.failures
    parts: list[Part] = [Text(f"{finding.sentence}.") for finding in explained.findings]
    for verb, tables in (("diverged", explained.diverged_by), ("failed", explained.failed_by)):
        if sum(level.count for level in tables[0].levels) >= FEWEST if tables else False:
            figures = [_shares(table, verb) for table in tables[:MOST_FIGURES]]
            caption = f"The share of trials that {verb}, by level."
            caption += " With Wilson's 95 % interval, where there are five trials or more."
            parts.append(Grid(figures, caption))
    return parts


def _shares(table: FailuresBy, verb: str) -> Figure:
    known = [(place, lv, lv.share) for place, lv in enumerate(table.levels) if lv.share is not None]
    trace = markers(
        verb,
        [(place, share, [label(lv.label), lv.count, lv.n]) for place, lv, share in known],
        f"%{{customdata[0]}}: %{{customdata[1]}} of %{{customdata[2]}} {verb}",
        {"color": f"--{verb}", "size": 8},
        error_y=error_bars([(share, lv.low, lv.high) for _, lv, share in known], f"--{verb}"),
    )
    layout = {
        "xaxis": level_axis(table.parameter, [label(level.label, 20) for level in table.levels]),
        "yaxis": {"title": {"text": f"share {verb}"}, "range": [-0.03, 1.03]},
        "showlegend": False,
        "height": 260,
        "hovermode": "closest",
    }
    return Figure([trace], layout)


def _row(trial: Trial) -> dict[str, Any]:
    """A trial that failed, as the JSON document holds it."""
    return {
        "trial": trial.number,
        "state": trial.state,
        "epoch": trial.epoch,
        "attempts": trial.attempts,
    }
