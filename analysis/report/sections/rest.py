"""What stands behind the answer: the cost, all trials, the experiment and versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from analysis.display.numbers import duration, percent
from analysis.insight.failure_reasons import last_line
from analysis.record.events import Changed
from analysis.report.section import (
    Cell,
    Code,
    Material,
    Part,
    Section,
    Table,
    Text,
    TrialTable,
)
from analysis.report.sections.answer import trial_data
from spaces.problems import printable, shortened
from spaces.text import dump_yaml


def trials_section(material: Material) -> Section:
    """All trials, one a row."""
    metric = material.metric
    names = list(dict.fromkeys(name for trial in material.trials for name in trial.configuration))
    columns = ["trial", "state", metric.name, "epochs", "seconds", *names, "reason"]
    rows: list[list[Cell]] = [
        [
            trial.number,
            trial.state,
            trial.value(metric),
            trial.epoch,
            None if trial.seconds is None else round(trial.seconds, 2),
            *(trial.configuration.get(name) for name in names),
            shortened(printable(last_line(trial.reason)), 200) if trial.reason else None,
        ]
        for trial in material.trials
    ]
    data = [trial_data(trial, metric) for trial in material.trials]
    table = TrialTable(columns, rows, columns.index(metric.name), not metric.is_minimized)
    return Section("All trials", "trials", [table], data)


def cost_section(material: Material) -> Section:
    """What the search cost, and what stopping early saved."""
    cost, resources = _cost(material), material.experiment.resources
    rows = [
        ["epochs that the search trained", f"{cost['epochs']:,}"],
        ["time of searching, pauses between sessions left out", duration(cost["seconds"])],
        ["time of trials, one after the other", duration(cost["trial_seconds"])],
        [
            f"CPU time reserved: time of trials × cpus ({resources.cpus * resources.world_size:g})",
            duration(cost["cpu_seconds"]),
        ],
    ]
    if gpus := _gpus_per_trial(material):  # where it was left to the machine, there may be none
        gpu_time = duration(cost["gpu_seconds"])
        rows.append([f"GPU time reserved: time of trials × gpus ({gpus:g})", gpu_time])
    rows.append(["epochs that ASHA saved", _share(cost["epochs_saved"], cost["epochs"])])
    if material.rerun_epochs:
        rows.append(["epochs more, to confirm and audit", f"{material.rerun_epochs:,}"])
    if missing := cost["epochs_not_trained_after_failures"]:
        rows.append(["epochs not trained after a divergence or failure", f"{missing:,}"])
    note = (
        "A trial's time runs from when it was handed out until it ended, starting its process "
        f"included. Saved: the sum of ({material.experiment.scheduler.max_epochs} − its epochs) "
        "over the trials that ASHA stopped; the baseline is never stopped."
    )
    parts: list[Part] = [Table(["what", "how much"], rows), Text(note, "note")]
    if (shared := material.trials.shared) is not None:
        parts.append(Text(f"Trials that share a GPU: {shared.trials}, {shared.reason}.", "note"))
    return Section("Cost", "cost", parts, cost)


def _gpus_per_trial(material: Material) -> float | None:
    """What part of a GPU each trial had; None where that was left to the machine."""
    gpus, shared = material.experiment.resources.gpus, material.trials.shared
    if gpus == "pack" and shared is not None:
        return 1 / shared.trials
    return None if isinstance(gpus, str) else gpus


def _cost(material: Material) -> dict[str, Any]:
    trials, resources = material.trials, material.experiment.resources
    most, ended = material.experiment.scheduler.max_epochs, material.trials.finished
    gpus = _gpus_per_trial(material)
    seconds = trials.seconds()
    trial_seconds = sum(
        max(0.0, seconds - trial.seconds_before) if trial.seconds is None else trial.seconds
        for trial in trials
    )
    failed = [trial for trial in ended if trial.state in ("diverged", "failed")]
    return {
        "epochs": trials.epochs,
        "seconds": seconds,
        "trial_seconds": trial_seconds,
        "cpu_seconds": trial_seconds * resources.cpus * resources.world_size,
        "gpu_seconds": None if gpus is None else trial_seconds * gpus,
        "epochs_saved": sum(most - trial.epoch for trial in ended if trial.state == "stopped"),
        "epochs_not_trained_after_failures": sum(max(0, most - trial.epoch) for trial in failed),
    }


def _share(saved: int, trained: int) -> str:
    if not saved:
        return "0"
    return f"{saved:,}: {percent(saved / (saved + trained))} of {saved + trained:,}"


def experiment_section(material: Material) -> Section:
    """The experiment file; searching it again gives the same search."""
    shown = material.experiment.shown()
    return Section("Experiment file", "experiment", [Code(dump_yaml(shown))], shown)


def versions_section(material: Material) -> Section:
    """With what, where and when the run was searched."""
    start = material.trials.start
    assert start is not None
    began = datetime.fromtimestamp(start.time, UTC)
    rows: list[list[Cell]] = [[name, version] for name, version in start.versions.items()]
    rows += [["host", start.host], ["began", f"{began:%Y-%m-%d %H:%M} UTC"]]
    data: dict[str, Any] = {"versions": start.versions, "host": start.host, "began": start.time}
    parts: list[Part] = [Table(["what", "version"], rows)]
    if changes := material.trials.changes:
        data["changes"] = [held.model_dump(exclude={"event"}) for held in changes]
        parts.append(Table(["from", "what", "was", "now"], _changes(changes), _CHANGED))
    return Section("Versions", "versions", parts, data)


_CHANGED = "What the run depends on and that changed while it went on, from when it began."


def _changes(changes: Sequence[Changed]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for change in changes:
        when = f"{datetime.fromtimestamp(change.time, UTC):%Y-%m-%d %H:%M} UTC"
        if not change.differences:
            rows.append([when, "all as when the run began", "", ""])
        rows += [[when, *map(printable, (d.what, d.was, d.now))] for d in change.differences]
    return rows
