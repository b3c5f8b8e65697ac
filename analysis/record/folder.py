"""A run folder: its files by name, how it stands, its best configurations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from analysis.record.events import EVENT, Created, Event, Moved, Started
from analysis.record.journal import each_event, replay
from analysis.record.trials import Trial, Trials
from spaces.experiment import Experiment
from spaces.locations import key_problem, without_secrets
from spaces.metric import Metric
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

    @property
    def own_code(self) -> Path:
        """Where the source of functions is kept that Python code has handed over."""
        return self.path / "code"

    def report_file(self, ending: str = "html") -> Path:
        return self.path / f"report.{ending}"

    def log_file(self, trial: int) -> Path:
        return self.logs / f"{trial}.txt"

    def files_of(self, trial: int) -> str:
        """The folder for files of a trial's own code, as a path below the run's."""
        return str(Path("files", self.part, str(trial)))

    def logged_by(self, trial: int) -> str:
        """The folder for images and texts that a trial's own code logs, below the run's."""
        return str(Path("logged", self.part, str(trial)))

    @property
    def of_reruns(self) -> RunFolder:
        """The same run, with the logs and checkpoints of its reruns."""
        return RunFolder(self.path, "reruns")

    @property
    def has_begun(self) -> bool:
        """Whether there is a run here.

        A journal without a whole line, left by a full disk or a power failure, is none.
        """
        if not self.journal_file.exists():
            return False
        with self.journal_file.open("rb") as file:
            return file.readline().endswith(b"\n")

    def written_places(self) -> list[Path]:
        """The files and folders in which whoever holds the run writes or deletes."""
        files = [self.experiment_file, self.journal_file, self.optuna_log, self.tensorboard]
        files.append(self.path / "logged")
        parts = (self, self.of_reruns)
        return [*files, *(place for part in parts for place in (part.logs, part.own_checkpoints))]

    @property
    def own_checkpoints(self) -> Path:
        """Where checkpoints lie, unless there is a storage for them."""
        return self.path / "checkpoints" / self.part

    def checkpoints(self, storage: str | None) -> str:
        """The folder or URI below which each trial's checkpoints lie."""
        if storage is None:
            return str(self.path.resolve() / self.own_checkpoints.relative_to(self.path))
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
    experiment, trials = experiment_of(folder), Trials()
    replay(folder.journal_file, *readers(experiment, trials), *takers)
    return folder, experiment, trials


def readers(experiment: Experiment, trials: Trials) -> list[Callable[[Event], None]]:
    """What takes every event of a journal in, in order to read it; each refuses what does not fit.

    Args:
        experiment: of the run; a space that is a function learns from the events what it holds.
        trials: empty ones, which are then those of the run.
    """
    space = experiment.search_space

    def note(event: Event) -> None:
        if isinstance(event, Created) and isinstance(space, RecordedSpace):
            space.note(event.params, event.distributions)

    return [trials.apply, note]


def experiment_of(folder: RunFolder) -> Experiment:
    """The experiment of a run, as its journal has it; imports no code.

    Keys in the URI of its storage, which earlier versions took, are left out, with a warning.

    Raises:
        InputError: when the folder holds no run, or its first line is no beginning of one.
    """
    experiment = parse_section(Experiment, start_of(folder).spec, ("experiment", "spec"))
    if own_code(experiment) and (moved := moved_code(folder)) is not None:
        experiment = with_moved_code(experiment, moved)
    experiment = _with_kept_code(experiment, folder)
    return _without_keys(experiment, folder.journal_file).only_read()


def _without_keys(experiment: Experiment, file: Path) -> Experiment:
    if experiment.storage is None or key_problem(experiment.storage) is None:
        return experiment
    warnings.warn(
        f"{file} holds keys, in the URI of its storage: make them invalid. They are not used; give "
        "others by the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        stacklevel=3,
    )
    return experiment.model_copy(update={"storage": without_secrets(experiment.storage)})


def own_code(experiment: Experiment) -> dict[str, str]:
    """The user's functions that an experiment names, ``file.py:function``, by where it does."""
    named = {"trainable": experiment.trainable, "space": experiment.space}
    return {place: held for place, held in named.items() if isinstance(held, str)}


def _with_kept_code(experiment: Experiment, folder: RunFolder) -> Experiment:
    """The same experiment; code that the run has kept itself lies where the run lies now."""
    here = {}
    for place, reference in own_code(experiment).items():
        file, _, name = reference.rpartition(":")
        kept = folder.own_code.resolve() / Path(file).name
        if Path(file).parts[-2:] == kept.parts[-2:] and kept.is_file():
            here[place] = f"{kept}:{name}"
    return experiment.model_copy(update=here)


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


def params_check(experiment: Experiment) -> Callable[[Event], None]:
    """What refuses a trial whose parameters the experiment's space does not hold."""

    def check(event: Event) -> None:
        if isinstance(event, Created):  # a rerun has the params of its trial
            is_recorded = event.distributions is not None
            experiment.search_space.check(event.trial, event.params, event.settings, is_recorded)

    return check


def newest_run(root: Path) -> Path:
    """The run folder below ``root`` that was written last.

    Raises:
        InputError: when there is none.
    """
    folders = (file.parent for file in root.glob("*/journal.jsonl"))
    runs = [folder for folder in folders if RunFolder(folder).has_begun]
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
        "waiting": len(trials.waiting),
        "epochs": trials.epochs,
        "trials_per_gpu": None if trials.shared is None else trials.shared.trials,
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
        **({"settings": trial.settings} if trial.settings else {}),
        "seed": trial.seed,
        "metric": metric.name,
        "value": trial.value(metric),
        "epoch": report.epoch,
        "state": trial.state,
    }
