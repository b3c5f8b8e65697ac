"""A run folder, and what its journal says: trials, their reports, their states, the best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.events import STATES, Created, Ended, Event, Finished, Report, Resumed, Started, State
from analysis.journal import read_journal
from spaces.experiment import Experiment, Metric
from spaces.parameters import Params
from spaces.problems import InputError
from spaces.sections import parse_section

_UNSEEN = 1e6


@dataclass
class Trial:
    """One configuration and all that the journal says of it."""

    number: int
    params: Params
    seed: int
    state: State = "running"
    reports: list[Report] = field(default_factory=list)
    reason: str | None = None
    started: float = 0.0
    ended: float | None = None

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self.reports[-1].epoch if self.reports else 0

    def scored(self, metric: Metric) -> Report | None:
        """The report whose value counts: the last, or with ``scope: best`` the best one."""
        if metric.scope == "last":
            return self.reports[-1] if self.reports else None
        best = None
        for report in self.reports:
            value = report.metrics[metric.name]
            if math.isfinite(value) and (
                best is None or metric.better(value, best.metrics[metric.name])
            ):
                best = report
        return best

    def value(self, metric: Metric) -> float | None:
        """The trial's value, None where it has no finite one."""
        report = self.scored(metric)
        value = math.nan if report is None else report.metrics[metric.name]
        return value if math.isfinite(value) and self.state not in ("diverged", "failed") else None


class Trials:
    """The state of a run: a projection of its events.

    Feed it events in their order; every attribute then says how things stood after the last.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.by_number: dict[int, Trial] = {}
        self.start: Started | None = None
        self.ended: Ended | None = None
        self.epochs = 0
        self._extremes: dict[str, tuple[float, float]] = {}  # (lowest, highest) by metric
        self._session_began = 0.0
        self._seconds_before = 0.0
        self._last_time = 0.0
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case Started():
                self.start = event
                self._session_began = event.time
            case Resumed():
                self.ended = None
                self._seconds_before += self._last_time - self._session_began
                self._session_began = event.time
            case Created():
                self.by_number[event.trial] = Trial(
                    event.trial, event.params, event.seed, started=event.time
                )
            case Report():
                self.by_number[event.trial].reports.append(event)
                self.epochs += 1
                self._note_extremes(event.metrics)
            case Finished():
                trial = self.by_number[event.trial]
                trial.state, trial.reason, trial.ended = event.state, event.reason, event.time
            case Ended():
                self.ended = event
        self._last_time = max(self._last_time, event.time)

    def _note_extremes(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            if math.isfinite(value):
                low, high = self._extremes.get(name, (value, value))
                self._extremes[name] = (min(low, value), max(high, value))

    def worst(self, metric: Metric) -> float:
        """The worst finite value of the metric so far; a very bad one where there is none yet."""
        low, high = self._extremes.get(metric.name, (-_UNSEEN, _UNSEEN))
        return high if metric.mode == "min" else low

    def __len__(self) -> int:
        return len(self.by_number)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.by_number.values())

    def seconds(self, now: float | None = None) -> float:
        """Time spent searching, over all sessions, up to ``now`` (left out: the last event)."""
        latest = self._last_time if now is None else now
        return self._seconds_before + latest - self._session_began

    def counts(self) -> dict[State, int]:
        """How many trials are in each state, zeros too."""
        counted = Counter(trial.state for trial in self)
        return {state: counted[state] for state in STATES}

    def ranked(self, metric: Metric) -> list[Trial]:
        """The trials that have a value, the best first; ties go to the lower number.

        Diverged and failed trials have none, running ones that of their latest report.
        """

        def rank(trial: Trial) -> tuple[float, int]:
            value = trial.value(metric)
            assert value is not None
            return (value if metric.mode == "min" else -value, trial.number)

        return sorted((t for t in self if t.value(metric) is not None), key=rank)


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, by name."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def experiment_file(self) -> Path:
        return self.path / "experiment.yaml"

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def optuna_log(self) -> Path:
        return self.path / "optuna.log"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def log_file(self, trial: int) -> Path:
        return self.logs / f"{trial}.txt"

    def checkpoints(self, storage: str | None) -> str:
        """The folder or URI below which each trial's checkpoints lie."""
        if storage is None:
            return str(self.path.resolve() / "checkpoints")
        return f"{storage.rstrip('/')}/{self.name}"


def open_run(path: Path) -> tuple[RunFolder, Experiment, Trials]:
    """Read a run folder's journal, which holds the experiment, too; loads no code of the user's.

    Raises:
        InputError: when it is none, or its files are damaged.
    """
    folder = RunFolder(path)
    if not folder.journal_file.is_file():
        raise InputError(f"{path} is no run folder: it has no journal.jsonl")
    trials = Trials(read_journal(folder.journal_file))
    if trials.start is None:
        raise InputError("the run ended before it began", source=str(folder.journal_file))
    experiment = parse_section(Experiment, trials.start.spec, ("experiment", "spec"))
    return folder, experiment, trials


def newest_run(root: Path) -> Path:
    """The run folder below ``root`` that was written last.

    Raises:
        InputError: when there is none.
    """
    runs = [file.parent for file in root.glob("*/journal.jsonl")]
    if not runs:
        raise InputError(f"there is no run in {root}; name one, or start one with shoal search")
    return max(runs, key=lambda run: (run / "journal.jsonl").stat().st_mtime)


def status_of(
    folder: RunFolder, experiment: Experiment, trials: Trials, live: bool
) -> dict[str, Any]:
    """What ``shoal status --json`` prints.

    Args:
        folder: the run.
        experiment: its experiment.
        trials: its trials.
        live: whether a process is searching now.
    """
    finished = trials.ended is not None and trials.ended.reason not in ("interrupted", "error")
    return {
        "run": str(folder.path),
        "state": "running" if live else "finished" if finished else "interrupted",
        "trials": trials.counts(),
        "epochs": trials.epochs,
        "best": next(iter(best_of(trials, experiment.metric, top=1)), None),
    }


def best_of(trials: Trials, metric: Metric, top: int) -> list[dict[str, Any]]:
    """The ``top`` best trials, as ``shoal best --json`` prints them."""
    rows = []
    for trial in trials.ranked(metric)[:top]:
        report = trial.scored(metric)
        assert report is not None
        rows.append(
            {
                "trial": trial.number,
                "params": trial.params,
                "seed": trial.seed,
                "metric": metric.name,
                "value": trial.value(metric),
                "epoch": report.epoch,
                "state": trial.state,
            }
        )
    return rows
