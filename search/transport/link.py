"""What the adapters of the plain transport share: from Tune's words to the coordinator's."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler

from analysis.insight.failure_reasons import last_line
from analysis.record.events import Decision
from analysis.record.folder import RunFolder
from analysis.record.trials import Trial
from search.control.controller import NOTHING_REPORTED, Trainings
from search.transport.cluster import Slots, code_folder
from search.transport.hung_trials import Silences
from spaces.links import unlinked
from spaces.problems import InputError, RunError, printable
from spaces.training_config import resolve
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.training import EpochReport
from trainables.worker.tune_worker import Assignment, Origin, Outcome

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
        self._failures: Counter[str] = Counter()  # by what they say
        self.silences = Silences()
        self._places: dict[int, str] = {}  # the process of a trial, as its last report named it
        self.checkpoints = folder.checkpoints(trainings.experiment.storage)
        self._project = code_folder(trainings.experiment)  # once: the file may be moved meanwhile

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

    def assignment(self, trial: Trial) -> Assignment | None:
        """What a worker is told; None: its values are valid alone, not together, and it failed."""
        experiment = self.trainings.experiment
        try:
            config = resolve(experiment, trial.params, trial.seed)
        except ValueError as error:
            self.fail(trial.number, str(error))
            return None
        origin = self._origin(trial)
        self._tell_lost(trial, origin)
        return Assignment(
            trial=trial.number,
            config=config.model_dump(mode="json"),
            reported=trial.epoch,
            checkpoints=self.checkpoints,
            origin=origin,
            project=None if self._project is None else str(self._project),
            log_file=str(self.folder.log_file(trial.number).resolve()),
            files=self._files(trial.number, origin),
            directory=None if experiment.trainable is None else os.getcwd(),
            epoch_timeout_seconds=experiment.epoch_timeout_seconds,
        )

    def _tell_lost(self, trial: Trial, origin: Origin | None) -> None:
        """Say in a line that a training starts over, for its checkpoints are gone."""
        if (not trial.epoch and origin is None) or Checkpoints(
            self.checkpoints, trial.number
        ).exist():
            return
        whose, reached = f"{self.trainings.noun} {trial.number}", trial.epoch
        if origin is not None:
            if Checkpoints(origin.checkpoints, origin.trial).exist():
                return
            whose, reached = f"trial {origin.trial}", max(reached, len(origin.reports))
        self.view.note(f"{whose} starts over: its checkpoints, of {reached} epochs, are gone")

    def _origin(self, trial: Trial) -> Origin | None:
        """The trial that this training takes on."""
        searched = self.trainings.origin(trial.number)
        if searched is None:
            return None
        place = RunFolder(self.folder.path).checkpoints(self.trainings.experiment.storage)
        reports = tuple(EpochReport(report.epoch, report.metrics) for report in searched.reports)
        return Origin(place, searched.number, reports)

    def _files(self, number: int, origin: Origin | None) -> tuple[str, str, str | None]:
        """The run's folder, and below it the one for files of a trial's own, and of its origin."""
        begun = None if origin is None else RunFolder(self.folder.path).files_of(origin.trial)
        return str(self.folder.path.resolve()), self.folder.files_of(number), begun

    def heard(self, number: int, result: dict[str, Any]) -> None:
        """Note that a trial's process is alive, and which it is."""
        self.silences.hear(number)
        self._places[number] = f"pid {result.get('pid')} on {result.get('hostname')}"

    def tell_silent(self, now: float) -> None:
        """Say which trials have not reported for several times as long as usual.

        Args:
            now: seconds, of a clock that only goes forward.
        """
        for trial, seconds, usual in self.silences.look(now):
            place = f" ({self._places[trial]})" if trial in self._places else ""
            self.view.note(
                f"{self.trainings.noun} {trial} has not reported for {seconds:.0f} s, its longest "
                f"epoch took {usual:.1f} s: its process{place} may hang. Once it is killed, it "
                "starts again from its checkpoint; epoch_timeout_seconds does so by itself"
            )

    def take(self, number: int, outcome: Outcome) -> str:
        """Hand an outcome to the coordinator; returns Tune's word for the decision."""
        if outcome.printed:
            self._log(number, outcome.printed)
        for note in outcome.notes:
            self.view.note(printable(f"{self.trainings.noun} {number}: {note}"))
        if outcome.fault is not None:
            raise RunError(f"{self.trainings.noun} {number}: {outcome.fault}")
        if outcome.error is not None:
            self.fail(number, outcome.error)
            return STOP
        if outcome.report is None and not self.trainings.trials.by_number[number].reports:
            self.fail(number, NOTHING_REPORTED)
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
            return self.trainings.report(
                number, report.epoch, report.metrics, report.steps, report.is_last
            )
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
        self.silences.forget(number)
        if self.is_stopping:  # processes that end now died of no fault of theirs
            return
        if starts_again:
            self.deaths[trial.trial_id] = error
            # the process that starts again is told what has been reported by now
            trial.config["assignment"] = self.assignment(self.trainings.trials.by_number[number])
            self.trainings.attempt(number, _reason(error))
            self.view.note(f"{self.trainings.noun} {number} starts again: {_reason(error)}")
        elif self.deaths.get(trial.trial_id) == error:
            self.trainings.hand_back(number)
        else:
            self.trainings.end(number, "failed", _reason(error))
            self._tell_failures({number: _reason(error)})

    def fail(self, number: int, reason: str) -> None:
        """Note that a trial's code failed, and say so; the session's first may be held back.

        Raises:
            RunError: when it is the baseline's, before its first report.
        """
        self._log(number, f"{reason.rstrip()}\n")
        self._tell_failures(self.trainings.fail(number, reason))

    def _tell_failures(self, failed: dict[int, str]) -> None:
        """Say which trials are recorded as failed now, but the same thing once only."""
        for number, reason in failed.items():
            Checkpoints(self.checkpoints, number).keep_last(1)
            line = last_line(reason)
            self._failures[line] += 1
            if self._failures[line] == 1:
                self.view.note(printable(f"{self.trainings.noun} {number} failed: {line}"))

    def conclude(self) -> None:
        """Once Tune has stopped: count the failures that were alike."""
        for line, count in self._failures.most_common():
            if count > 1:
                self.view.note(printable(f"{count} {self.trainings.noun}s failed: {line}"))

    def _log(self, number: int, text: str) -> None:
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        file = unlinked(self.folder.log_file(number), self.folder.path)
        with file.open("a", errors="backslashreplace") as log:
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
