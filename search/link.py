"""What the adapters of the plain transport share: from Tune's words to the coordinator's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler

from analysis.events import Decision
from analysis.run import RunFolder
from analysis.trials import Trial
from search.cluster import Slots
from search.trainings import Trainings
from spaces.problems import InputError, RunError
from trainables.checkpoints import Checkpoints
from trainables.config import resolve
from trainables.training import EpochReport
from trainables.tune_plain import Assignment, Outcome

CONTINUE: str = TrialScheduler.CONTINUE
STOP: str = TrialScheduler.STOP


class View(Protocol):
    """What shows the search to a person."""

    def update(self) -> None:
        """Called several times a second."""

    def note(self, message: str) -> None:
        """Called with a line that should be read."""


class Link:
    """The one object that Tune's adapters share.

    Tune deep-copies and pickles its searcher and scheduler: the link copies to itself and pickles
    to nothing, for the journal is what a run is brought back from.
    """

    def __init__(self, trainings: Trainings, folder: RunFolder, slots: Slots, view: View) -> None:
        self.trainings = trainings
        self.folder = folder
        self.slots = slots
        self.view = view
        self.placed: dict[str, int] = {}  # Tune's trial id to our number, until the trial ends
        self.deaths: dict[str, str] = {}  # how a process died, by the Tune id of its trial
        self.fault: Exception | None = None
        self.is_waiting = False
        self.checkpoints = folder.checkpoints(trainings.experiment.storage)

    def __deepcopy__(self, memo: dict[int, Any]) -> Link:
        return self

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    @contextmanager
    def keeping_fault(self) -> Iterator[None]:
        """Keep an exception, which Tune would swallow or wrap, until Tune has stopped."""
        try:
            yield
        except Exception as error:
            self.fault = self.fault or error

    @property
    def is_stopping(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.fault is not None or self.trainings.must_stop_now

    def assignment(self, trial: Trial) -> Assignment:
        experiment = self.trainings.experiment
        config = resolve(experiment, trial.params, trial.seed)
        origin = self.trainings.origin(trial.number)
        searched = RunFolder(self.folder.path).checkpoints(experiment.storage)
        return Assignment(
            trial=trial.number,
            config=config.model_dump(mode="json"),
            reported=trial.epoch,
            checkpoints=self.checkpoints,
            origin=None if origin is None else (searched, origin),
            log_file=str(self.folder.log_file(trial.number).resolve()),
            directory=None if experiment.trainable is None else os.getcwd(),
            epoch_timeout_seconds=experiment.epoch_timeout_seconds,
        )

    def take(self, number: int, outcome: Outcome) -> str:
        """Hand an outcome to the coordinator; returns Tune's word for the decision."""
        if outcome.printed:
            self._log(number, outcome.printed)
        if outcome.fault is not None:
            raise RunError(f"{self.trainings.noun} {number}: {outcome.fault}")
        if outcome.error is not None:
            self.fail(number, outcome.error)
            return STOP
        if outcome.report is None:
            self.trainings.end_early(number)
        elif self._report(number, outcome.report, outcome.checkpoint) == "continue":
            return CONTINUE
        Checkpoints(self.checkpoints, number).keep_last(1)
        return STOP

    def _report(self, number: int, report: EpochReport, checkpoint: str | None) -> Decision:
        """Hand a report in; one without the metric of the search fails the trial.

        Raises:
            InputError: when no trial has reported that metric yet, so that none ever will.
        """
        if checkpoint is not None:
            self._tell_failures(self.trainings.checkpoint(number, report.epoch, checkpoint))
        try:
            return self.trainings.report(number, report.epoch, report.metrics, report.steps)
        except InputError as error:
            if not self.trainings.trials.epochs:
                raise
            self.fail(number, str(error))
            return "stop"

    def take_death(self, trial: TuneTrial, starts_again: bool) -> None:
        """Note that a trial's process died, and whether Tune starts it again.

        Of a process that dies between two trials Tune tells twice, and gives the second one up:
        that one is handed out anew.
        """
        number, error = number_of(trial), _last_error(trial)
        if self.is_stopping:  # processes that end now died of no fault of theirs
            return
        if starts_again:
            self.deaths[trial.trial_id] = error
            self.trainings.attempt(number, _reason(error))
            self.view.note(f"{self.trainings.noun} {number} starts again: {_reason(error)}")
        elif self.deaths.get(trial.trial_id) == error:
            self.trainings.hand_back(number)
        else:
            self.trainings.end(number, "failed", _reason(error))
            self._tell_failures({number: _reason(error)})

    def fail(self, number: int, reason: str) -> None:
        """Note that a trial's code failed, and say so; the session's first may be held back."""
        self._log(number, f"{reason.rstrip()}\n")
        self._tell_failures(self.trainings.fail(number, reason))

    def _tell_failures(self, failed: dict[int, str]) -> None:
        for number, reason in failed.items():
            Checkpoints(self.checkpoints, number).keep_last(1)
            last = reason.strip().splitlines()[-1]
            self.view.note(f"{self.trainings.noun} {number} failed: {last}")

    def _log(self, number: int, text: str) -> None:
        self.folder.logs.mkdir(exist_ok=True)
        with self.folder.log_file(number).open("a", errors="backslashreplace") as log:
            log.write(text)


def number_of(trial: TuneTrial) -> int:
    """Our number of Tune's trial."""
    assignment: Assignment = trial.config["assignment"]
    return assignment.trial


def _last_error(trial: TuneTrial) -> str:
    """What Ray said when a trial's process died; Tune appends it to a file."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return text.rpartition("Failure # ")[2].partition("\n")[2].strip()


def _reason(error: str) -> str:
    """Why a process died, in a line: the last one of a traceback, or the first."""
    lines = error.splitlines() or ["its process died"]
    if lines[0].startswith("The actor died unexpectedly"):
        return "its process died: killed, out of memory, or hanging (its log says so)"
    return lines[-1 if "ray::" in lines[0] else 0].strip()
