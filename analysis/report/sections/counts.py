"""How many trials came to which state, and how far."""

from __future__ import annotations

from analysis.display.numbers import percent
from analysis.record.events import STATES, State
from analysis.report.section import Cell, Material, Section, Table, Text

_MEANINGS: dict[State, str] = {
    "running": "has not ended (yet)",
    "completed": "trained to its last epoch",
    "stopped": "stopped early by ASHA",
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
    columns = ["epoch", "entered", "passed", "share passed", "stopped", "diverged"]
    shares = [percent(row["passed"] / row["entered"]) if row["entered"] else "" for row in rows]
    cells: list[list[Cell]] = [
        [row["epoch"], row["entered"], row["passed"], share, row["stopped"], row["diverged"]]
        for row, share in zip(rows, shares, strict=True)
    ]
    note = (
        "Entered: trials that reported at that epoch; passed: those that went on from it: they "
        f"were among the best 1 in {scheduler.reduction_factor} of those that had come so far. "
        "Where later trials are better than earlier ones, more pass."
    )
    if material.baseline is not None:
        note += " The baseline always passes."
    return Section("Rungs", "rungs", [Table(columns, cells), Text(note, "note")], rows)


def _rung(material: Material, epoch: int) -> dict[str, int]:
    entered = [trial for trial in material.trials if trial.epoch >= epoch]
    passed = [t for t in entered if t.reports[epoch - 1].decision == "continue"]
    left = [trial for trial in entered if trial.reports[epoch - 1].decision == "stop"]
    return {
        "epoch": epoch,
        "entered": len(entered),
        "passed": len(passed),
        "stopped": sum(trial.state != "diverged" for trial in left),
        "diverged": sum(trial.state == "diverged" for trial in left),
    }
