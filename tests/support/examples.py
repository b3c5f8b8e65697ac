"""Small made things that several tests need: experiments, coordinators, learning curves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.record.chain import split
from analysis.record.events import Created, Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal, replay
from analysis.record.trials import Trials
from search.control.controller import Controller
from search.control.coordinator import Coordinator
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from search.rerun.rerunner import AnyPlan, Rerunner
from search.transport.inline import Inline
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.seeds import derive_seed
from trainables.reports import EpochReport
from trainables.worker.messages import Assignment, Outcome

SPACE = {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "activation": ["tanh", "relu"]}


def experiment(**changes: Any) -> Experiment:
    """A small experiment on the digits, with some sections replaced."""
    data = {
        "name": "made",
        "model": {"family": "mlp", "hidden": [16]},
        "space": SPACE,
        "sampler": "tpe",
        "scheduler": {"name": "asha", "max_epochs": 9},
        "budget": {"trials": 12},
    }
    return parse_experiment({**data, **changes})


def started(experiment: Experiment) -> Started:
    """The first event of a run."""
    return Started(spec=experiment.plain(), versions={}, host="here", divergence="known_losses")


def coordinator(folder: Path, **changes: Any) -> Coordinator:
    """A coordinator of a new run, with a real journal in ``folder``."""
    made = experiment(**changes)
    coordinator = Coordinator(made, Journal(folder / "journal.jsonl"))
    coordinator.start(started(made))
    return coordinator


def unchain(journal: Path) -> None:
    """Make a journal one that an earlier version has written: without hashes, and not of this."""
    lines = journal.read_bytes().splitlines(keepends=True)
    text = b"".join(split(line)[0] + b"\n" for line in lines)
    journal.write_bytes(text.replace(b'"divergence":"known_losses"', b'"divergence":"any_loss"', 1))


def checked_journal(path: Path) -> Journal:
    """A journal whose events are checked and taken in as those of a search are."""
    journal, trials = Journal(path), Trials()
    replay(path, trials.apply)
    journal.check = trials.apply
    return journal


def created_line(trial: int) -> str:
    """A line of a journal: a trial is created, as the small experiment would."""
    params: Params = {"lr": 0.01, "activation": "relu"}
    seed = derive_seed(0, "trial", trial)
    return Created(trial=trial, params=params, seed=seed).model_dump_json() + "\n"


def own_code_coordinator(folder: Path, run: Path | None = None, **changes: Any) -> Coordinator:
    """A coordinator that trains ``own.py:train`` in ``folder``; its run is there, or in ``run``."""
    made = own_code_experiment(folder, **changes)
    coordinator = Coordinator(made, Journal((run or folder) / "journal.jsonl"))
    coordinator.start(started(made))
    return coordinator


def own_code_experiment(folder: Path, **changes: Any) -> Experiment:
    """An experiment that trains ``own.py:train`` in ``folder``."""
    data = {
        "name": "own",
        "trainable": f"{folder}/own.py:train",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "metric": {"name": "score"},
        "sampler": "tpe",
        "scheduler": "asha",
        "budget": {"trials": 12},
    }
    return parse_experiment({**data, **changes})


def accuracy(trial: int, epoch: int) -> float:
    """A made learning curve in (0, 1), different for every trial."""
    height = 0.3 + (trial * 0.37) % 0.6
    return height * (1.0 - 0.7**epoch)


def report(coordinator: Controller, trial: int, epoch: int, value: float | None = None) -> str:
    """Report an epoch with a made accuracy, or with ``value``."""
    shown = accuracy(trial, epoch) if value is None else value
    return coordinator.report(trial, epoch, {"val_accuracy": shown, "train_loss": 1.0})


def run_all(coordinator: Controller, workers: int = 2, reports: int | None = None) -> None:
    """Train trials side by side, inline, until all is done or so many reports came."""
    folder = RunFolder(coordinator.journal.path.parent)
    dispatcher = Dispatcher(coordinator, folder, Silent())
    inline = Inline(workers, in_turn(reports), lambda data: CurveTrainer())
    with suppress(_EnoughError), dispatcher.working():
        inline.run(dispatcher, None)


class _EnoughError(Exception):
    """So many reports came."""


def in_turn(reports: int | None) -> Callable[[Sequence[int]], int]:
    """An epoch of each running trial, then of each again; ends after so many."""
    left = itertools.count() if reports is None else iter(range(reports))
    waiting: list[int] = []

    def choose(running: Sequence[int]) -> int:
        if next(left, None) is None:
            raise _EnoughError
        waiting[:] = [number for number in waiting if number in running] or list(running)
        return waiting.pop(0)

    return choose


class CurveTrainer:
    """Stands in for a worker: reports the epochs of a made-up learning curve."""

    def take(self, assignment: Assignment) -> None:
        """Take the next trial."""
        self._trial, self._epoch = assignment.trial, assignment.reported

    def step(self) -> Outcome:
        """The next epoch."""
        self._epoch += 1
        metrics = {"val_accuracy": accuracy(self._trial, self._epoch), "train_loss": 1.0}
        return Outcome(EpochReport(self._epoch, metrics))

    def close(self) -> None:
        """Nothing is left open."""


def begun(rerunner: Rerunner[AnyPlan]) -> Rerunner[AnyPlan]:
    """A rerunner that goes on where its journal ends."""
    rerunner.begin()
    return rerunner


def resumed(folder: Path, trials: int = 0, hours: float = 0.0, **changes: Any) -> Coordinator:
    """A coordinator that goes on with the run in ``folder``."""
    coordinator = Coordinator(experiment(**changes), Journal(folder / "journal.jsonl"))
    coordinator.resume(trials, hours)
    return coordinator
