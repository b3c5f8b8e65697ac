"""A driver without Ray, for tests that kill it: a real coordinator, journal and projections."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import optuna

from analysis.record.events import Event
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal, read_journal
from analysis.record.trials import Trial, Trials
from analysis.views.projection import open_projections
from search.control.asha import Rungs
from search.control.coordinator import Coordinator
from spaces.experiment import Experiment
from tests.support import examples


class RungsNotes:
    """A projection that notes, after each event, how the rungs stand in memory.

    Args:
        file: one line per event: how many lines the journal has, and the rungs.
        coordinator: whose rungs.
    """

    def __init__(self, file: Path, coordinator: Coordinator) -> None:
        self._file = file.open("ab", buffering=0)
        self._rungs = coordinator.policy.rungs
        self._lines = (file.parent / "journal.jsonl").read_bytes().count(b"\n")

    def write(self, event: Event, trials: Trials) -> None:
        """Note how they stand after an event."""
        self._lines += 1
        self._file.write(json.dumps([self._lines, plain(self._rungs)]).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def plain(rungs: Rungs) -> list[Any]:
    """All that the rungs hold."""
    rows = rungs.by_epoch.values()
    return [[r.epoch, [list(e) for e in r.recent], r.entered, r.passed] for r in rows]


def go_on(folder: Path, experiment: Experiment) -> None:
    """Start the run of a folder, resume it, or extend a finished one; search until it ends."""
    warnings.simplefilter("error")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    coordinator = Coordinator(experiment, Journal(folder / "journal.jsonl"))
    events = read_journal(folder / "journal.jsonl")
    if events:
        coordinator.resume(trials=10 if events[-1].event == "ended" else 0)
    else:
        coordinator.start(examples.started(experiment))
    coordinator.projections = [
        RungsNotes(folder / "rungs.jsonl", coordinator),
        *open_projections(RunFolder(folder), experiment),
    ]
    _train_all(coordinator)
    coordinator.close()


def _train_all(coordinator: Coordinator, workers: int = 3) -> None:
    active: list[Trial] = []
    while True:
        while len(active) < workers and (trial := coordinator.next_trial()) is not None:
            active.append(trial)
        if not active:
            return
        for trial in list(active):
            _train_epoch(coordinator, trial, trial.epoch + 1)
            if trial.state != "running":
                active.remove(trial)


def _train_epoch(coordinator: Coordinator, trial: Trial, epoch: int) -> None:
    """Most trials learn; every seventh fails, every fourth dies once, and some may diverge."""
    number = trial.number
    if number % 7 == 5 and epoch == 2:
        coordinator.end(number, "failed", "made to fail")
        return
    if number % 4 == 2 and epoch == 1:
        coordinator.attempt(number, "made to die")
    coordinator.saved()
    diverges = coordinator.experiment.name == "diverging" and number % 5 == 3 and epoch == 2
    examples.report(coordinator, number, epoch, math.nan if diverges else None)
