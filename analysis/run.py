"""A run folder: its files by name, how it stands, its best configurations."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.events import EVENT, Created, Event, Moved, Started
from analysis.journal import each_event, replay
from analysis.trials import Trial, Trials
from spaces.experiment import Experiment, Metric
from spaces.problems import InputError
from spaces.recorded import RecordedSpace
from spaces.sections import parse_section


@dataclass(frozen=True)
class RunFolder:
    """The files of a run, by name.

    ``part``: of the logs and checkpoints those below that folder; left out, those of the trials.
    """

    path: Path
    part: str = ""

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
        return self.path / "logs" / self.part

    def report_file(self, ending: str = "html") -> Path:
        return self.path / f"report.{ending}"

    def log_file(self, trial: int) -> Path:
        return self.logs / f"{trial}.txt"

    @property
    def of_reruns(self) -> RunFolder:
        """The same run, with the logs and checkpoints of its reruns."""
        return RunFolder(self.path, "reruns")

    def checkpoints(self, storage: str | None) -> str:
        """The folder or URI below which each trial's checkpoints lie."""
        if storage is None:
            return str(self.path.resolve() / "checkpoints" / self.part)
        place, question, options = storage.partition("?")  # s3://bucket/path?region=…
        whole = f"{place.rstrip('/')}/{self.name}/{self.part}".rstrip("/")
        return f"{whole}{question}{options}"


def open_run(path: Path, *takers: Callable[[Event], None]) -> tuple[RunFolder, Experiment, Trials]:
    """Read a run folder's journal, which holds the experiment, too; loads no code of the user's.

    Args:
        path: the folder.
        takers: are given every event, too.

    Raises:
        InputError: when it is none, or its files are damaged.
    """
    folder = RunFolder(path)
    experiment = experiment_of(folder)
    trials, space = Trials(), experiment.search_space

    def note(event: Event) -> None:
        if isinstance(event, Created) and isinstance(space, RecordedSpace):
            space.note(event.params, event.distributions)

    replay(folder.journal_file, trials.apply, note, *takers)
    return folder, experiment, trials


def experiment_of(folder: RunFolder) -> Experiment:
    """The experiment of a run, as its journal has it; imports no code.

    Raises:
        InputError: when the folder holds no run, or its first line is no beginning of one.
    """
    experiment = parse_section(Experiment, start_of(folder).spec, ("experiment", "spec"))
    if own_code(experiment) and (moved := moved_code(folder)) is not None:
        experiment = with_moved_code(experiment, moved)
    return experiment.only_read()


def own_code(experiment: Experiment) -> dict[str, str]:
    """The user's functions that an experiment names, ``file.py:function``, by where it does."""
    named = {"trainable": experiment.trainable, "space": experiment.space}
    return {place: held for place, held in named.items() if isinstance(held, str)}


def with_moved_code(experiment: Experiment, moved: Moved) -> Experiment:
    """The same experiment, whose code lies elsewhere."""
    held = {"trainable": moved.trainable, "space": moved.space}
    names = own_code(experiment)
    return experiment.model_copy(
        update={place: held[place] for place in names if held[place] is not None}
    )


def moved_code(folder: RunFolder) -> Moved | None:
    """Where the user's code lies now, if it was moved; None: where it was.

    Only lines that may say so are parsed, for that takes seconds in a long run.
    """
    found = None
    with folder.journal_file.open("rb") as file:
        for line in file:
            if b'"moved"' in line:
                with suppress(ValidationError):  # whoever reads all events names it
                    event = EVENT.validate_json(line)
                    found = event if isinstance(event, Moved) else found
    return found


def start_of(folder: RunFolder) -> Started:
    """The first line of a run's journal.

    Raises:
        InputError: when the folder holds no run, or the line is no beginning of one.
    """
    file = folder.journal_file
    if not file.is_file():
        raise InputError(f"{folder.path} is no run folder: it has no journal.jsonl")
    first = next(each_event(file), None)
    if not isinstance(first, Started):
        raise InputError("does not begin with the experiment", source=str(file))
    return first


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
    best = trials.best(experiment.metric)
    return {
        "run": str(folder.path),
        "state": "running" if live else "finished" if finished else "interrupted",
        "trials": trials.counts(),
        "epochs": trials.epochs,
        "best": None if best is None else _row(best, experiment.metric),
    }


def best_of(trials: Trials, metric: Metric, top: int) -> list[dict[str, Any]]:
    """The ``top`` best trials, as ``shoal best --json`` prints them."""
    return [_row(trial, metric) for trial in trials.ranked(metric)[:top]]


def _row(trial: Trial, metric: Metric) -> dict[str, Any]:
    report = trial.scored(metric)
    assert report is not None
    return {
        "trial": trial.number,
        "params": trial.params,
        "seed": trial.seed,
        "metric": metric.name,
        "value": trial.value(metric),
        "epoch": report.epoch,
        "state": trial.state,
    }
