"""How many trials came to which state, and how far."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np

from analysis.display.numbers import fraction, percent
from analysis.insight.observations import average_ranks
from analysis.record.events import STATES, State
from analysis.record.trials import Trial
from analysis.report.section import Cell, Material, Section, Table, Text

_FEWEST = 5  # trials, of which a rank correlation is told
_MEANINGS: dict[State, str] = {
    "running": "has not ended (yet), or waits at a rung",
    "completed": "trained to its last epoch",
    "stopped": "stopped early",
    "diverged": "the metric, train_loss or val_loss became NaN or infinite, or a loss very large",
    "failed": "an error in the code, or its process was lost",
}


def states_section(material: Material) -> Section:
    """How many trials are in each of the five states, zeros too."""
    counts = material.trials.counts()
    rows: list[list[Cell]] = [[state, counts[state], _MEANINGS[state]] for state in STATES]
    rows.append(["in all", len(material.trials), ""])
    return Section("States", "states", [Table(["state", "trials", "meaning"], rows)], counts)


def rungs_section(material: Material) -> Section:
    """How many trials came to each rung, and how many went on from it."""
    scheduler = material.experiment.scheduler
    rows = [_rung(material, epoch) for epoch in scheduler.rung_epochs]
    if not rows:
        text = f"No rungs: every trial may train to epoch {scheduler.max_epochs}."
        return Section("Rungs", "rungs", [Text(text)], [])
    columns = ["epoch", "entered", "passed", "share passed", "stopped", "diverged", "waiting"]
    shares = [percent(row["passed"] / row["entered"]) if row["entered"] else "" for row in rows]
    cells: list[list[Cell]] = [
        [row["epoch"], row["entered"], row["passed"], share, *list(row.values())[3:]]
        for row, share in zip(rows, shares, strict=True)
    ]
    note = "Entered: trials that reported at that epoch; passed: those that went on from it: "
    if scheduler.name == "asha":
        note += (
            f"they were among the best 1 in {scheduler.reduction_factor} of those that had come so "
            "far. Where later trials are better than earlier ones, more pass."
        )
    else:
        note += (
            "more was expected of them, for each epoch, than of new trials. The others waited, "
            "and were stopped when the search ended."
        )
    if material.baseline is not None:
        note += " The baseline always passes."
    prediction = _how_rungs_predict(material)
    words = [Text(note, "note"), *([Text(prediction)] if prediction else [])]
    return Section("Rungs", "rungs", [Table(columns, cells), *words], rows)


def _how_rungs_predict(material: Material) -> str:
    """How well each rung predicted the next one, and how the epochs were spent; words."""
    scheduler, name = material.experiment.scheduler, material.experiment.metric.name
    stops = [*scheduler.rung_epochs, scheduler.max_epochs]
    found = []
    for rung, later in pairwise(stops):
        pairs = [
            (trial.reports[rung - 1].metrics[name], trial.reports[later - 1].metrics[name])
            for trial in material.trials
            if trial.epoch >= later
        ]
        finite = [pair for pair in pairs if all(map(math.isfinite, pair))]
        if len(finite) >= _FEWEST and all(len(set(side)) > 1 for side in zip(*finite, strict=True)):
            early, late = (average_ranks(np.array(side)) for side in zip(*finite, strict=True))
            correlation = float(np.corrcoef(early, late)[0, 1])
            found.append(f"from {rung} to {later} {fraction(correlation)} ({len(finite)} trials)")
    if not found:
        return ""
    first = sum(min(trial.epoch, stops[0]) for trial in material.trials)
    return (
        f"How well a rung predicted the next one, as a rank correlation: {', '.join(found)}. It is "
        "that of the trials that went on, which are alike; over all trials it is higher. Of "
        f"{material.trials.epochs} epochs, {first} were a first look at a configuration, the "
        "others went to those of whom more was expected."
    )


def _rung(material: Material, epoch: int) -> dict[str, int]:
    entered = [trial for trial in material.trials if trial.epoch >= epoch]
    left = [trial for trial in entered if _left_at(trial, epoch)]
    states = Counter("waiting" if trial.is_waiting else trial.state for trial in left)
    return {
        "epoch": epoch,
        "entered": len(entered),
        "passed": len(entered) - len(left),
        "stopped": len(left) - states["diverged"] - states["waiting"],
        "diverged": states["diverged"],
        "waiting": states["waiting"],
    }


def _left_at(trial: Trial, epoch: int) -> bool:
    """Whether a trial came no further than to a rung."""
    decision = trial.reports[epoch - 1].decision
    has_gone_on = trial.epoch > epoch or (trial.state == "running" and not trial.is_waiting)
    return decision == "stop" or (decision == "pause" and not has_gone_on)
