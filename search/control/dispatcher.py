"""Between the controller and whatever trains: assignments go out, outcomes come back."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from analysis.insight.failure_reasons import last_line
from analysis.record.events import Decision
from analysis.record.folder import RunFolder
from analysis.record.logged import Logged, write_logged
from analysis.record.trials import Trial
from search.control.controller import NOTHING_REPORTED, Controller
from search.control.hung_trials import HungTrials
from search.control.view import View
from spaces.imports import project_of
from spaces.links import unlinked
from spaces.problems import InputError, RunError, printable
from spaces.training_config import resolve
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.checkpoints.saving import SavePlan
from trainables.reports import EpochReport
from trainables.worker.messages import Assignment, Origin, Outcome


class Dispatcher:
    """What a transport works with: it asks for assignments, and hands outcomes in.

    Args:
        controller: what to train, and what a report means.
        folder: the run's files.
        view: is shown how things stand.
    """

    def __init__(self, controller: Controller, folder: RunFolder, view: View) -> None:
        self.controller = controller
        self.experiment = controller.experiment
        self.folder = folder
        self.view = view
        self.fault: Exception | None = None
        self.hung_trials = HungTrials()
        self._failures: Counter[str] = Counter()  # by what they say
        self._processes: dict[int, str] = {}  # of a trial, as its last report named it
        self._checkpoints = folder.checkpoints(self.experiment.storage)
        self._project = project_of(self.experiment.trainable)  # once: the file may be moved
        self._deleting = ThreadPoolExecutor(max_workers=1)  # a storage may be far away

    @contextmanager
    def keeping_fault(self) -> Iterator[None]:
        """Keep an exception, which a transport would swallow or wrap, until it has stopped."""
        try:
            yield
        except Exception as error:
            self.fault = self.fault or error

    @property
    def is_stopping(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.fault is not None or self.controller.must_stop_now

    def next(self) -> Assignment | None:
        """What to train next; None when there is nothing for now, or nothing any more."""
        while not self.is_stopping and (trial := self.controller.next_trial()) is not None:
            if (assignment := self.assignment(trial)) is not None:
                return assignment
        return None

    def assignment(self, trial: Trial) -> Assignment | None:
        """What a worker is told; None: its values are valid alone, not together, and it failed."""
        try:
            config = resolve(self.experiment, trial.params, trial.seed, trial.settings)
        except ValueError as error:
            self.fail(trial.number, str(error))
            return None
        origin = self._origin(trial)
        return Assignment(
            trial=trial.number,
            config=config.model_dump(mode="json"),
            reported=trial.epoch,
            checkpoints=self._checkpoints,
            origin=origin,
            project=None if self._project is None else str(self._project),
            log_file=str(self.folder.log_file(trial.number).resolve()),
            files=self._files(trial.number, origin),
            directory=None if self.experiment.trainable is None else os.getcwd(),
            epoch_timeout_seconds=self.experiment.epoch_timeout_seconds,
            saving=self._saving(),
        )

    def _saving(self) -> SavePlan:
        """After which epochs checkpoints are written; and where a trial may leave its worker."""
        every, scheduler = self.experiment.checkpoint, self.controller.policy.experiment.scheduler
        ends = frozenset((*scheduler.rung_epochs, scheduler.max_epochs))
        return SavePlan(every.every_epochs, every.every_seconds, ends)

    def _origin(self, trial: Trial) -> Origin | None:
        """The trial that this training continues."""
        searched = self.controller.origin(trial.number)
        if searched is None:
            return None
        place = RunFolder(self.folder.path).checkpoints(self.experiment.storage)
        reports = tuple(EpochReport(report.epoch, report.metrics) for report in searched.reports)
        return Origin(place, searched.number, reports)

    def _files(self, number: int, origin: Origin | None) -> tuple[str, str, str | None]:
        """The run's folder, and below it the one for files of a trial's own, and of its origin."""
        begun = None if origin is None else RunFolder(self.folder.path).files_of(origin.trial)
        return str(self.folder.path.resolve()), self.folder.files_of(number), begun

    def heard(self, number: int, process: str) -> None:
        """A trial has ended an epoch in a process: ``pid 1 on host``."""
        self.hung_trials.hear(number)
        self._processes[number] = process

    def look_for_hung_trials(self, now: float) -> None:
        """Say which trials have not reported for several times as long as usual.

        Args:
            now: seconds, of a clock that only goes forward.
        """
        told: set[str] = set()  # the trials of a lane group hang together
        for trial, seconds, usual in self.hung_trials.look(now):
            place = f" ({self._processes[trial]})" if trial in self._processes else ""
            if place and place in told:
                continue
            told.add(place)
            self.view.note(
                f"{self.controller.noun} {trial} has not reported for {seconds:.0f} s, its longest "
                f"epoch took {usual:.1f} s: its process{place} may hang. Once it is killed, it "
                "starts again from its checkpoint; epoch_timeout_seconds does so by itself"
            )

    def take(self, number: int, outcome: Outcome) -> Decision:
        """Take what a worker answers; returns whether its trial goes on.

        Raises:
            RunError: when the search can't go on.
            InputError: when the trainable does not report the metric of the search.
            OSError: when the run's files can't be written.
        """
        if outcome.printed:
            self._log(number, outcome.printed)
        for note in outcome.notes:
            self.view.note(printable(f"{self.controller.noun} {number}: {note}"))
        if outcome.fault is not None:
            raise RunError(f"{self.controller.noun} {number}: {outcome.fault}")
        trial = self.controller.trials.by_number[number]
        if trial.state != "running" or trial.is_waiting:  # it comes too late
            return "stop"
        if outcome.error is not None:
            self.fail(number, outcome.error)
            return "stop"
        if outcome.report is None and not trial.reports:
            self.fail(number, NOTHING_REPORTED)
            return "stop"
        if outcome.report is None:
            self.controller.end_early(number)
        elif self._report(number, outcome.report, outcome.saved) == "continue":
            return "continue"
        if not trial.is_waiting:  # else it may go on before its files are looked at
            self._keep_last_checkpoint(number)
        return "stop"

    def _report(self, number: int, report: EpochReport, is_saved: bool) -> Decision:
        """Hand a report in; one without the metric of the search fails the trial.

        Raises:
            InputError: when no trial has reported that metric yet, so that none ever will.
        """
        if is_saved:
            self._note_failures(self.controller.saved())
        logged = [Logged(*held) for held in report.logged]  # type: ignore[arg-type]
        write_logged(self.folder.path, self.folder.logged_by(number), report.epoch, logged)
        try:
            return self.controller.report(
                number, report.epoch, report.metrics, report.steps, report.is_last
            )
        except InputError as error:
            if not self.controller.trials.epochs:
                raise
            self.fail(number, str(error))
            return "stop"

    def restarted(self, number: int, reason: str, shared: bool = False) -> Assignment | None:
        """A trial's process died and is started again; returns what the new one is told.

        Args:
            number: the trial.
            reason: why.
            shared: whether others were lost with it: it counts as one of its failures as long as
                it has any left.
        """
        self.hung_trials.forget(number)
        assignment = self.assignment(self.controller.trials.by_number[number])
        if not shared or self.controller.attempts_left(number) > 0:
            self.controller.attempt(number, reason)
        self.view.note(f"{self.controller.noun} {number} starts again: {reason}")
        return assignment

    def given_up(self, number: int, reason: str) -> None:
        """A trial's process died once too often."""
        self.hung_trials.forget(number)
        self.controller.end(number, "failed", reason)
        self._note_failures({number: reason})

    def fail(self, number: int, reason: str) -> None:
        """A trial's code failed; the session's first failures may be held back.

        Raises:
            RunError: when it is the baseline's, before its first report.
        """
        self._log(number, f"{reason.rstrip()}\n")
        self._note_failures(self.controller.fail(number, reason))

    def _note_failures(self, failed: dict[int, str]) -> None:
        """Say which trials are recorded as failed now, but the same thing once only."""
        for number, reason in failed.items():
            self._keep_last_checkpoint(number)
            line = last_line(reason)
            self._failures[line] += 1
            if self._failures[line] == 1:
                self.view.note(printable(f"{self.controller.noun} {number} failed: {line}"))

    def _keep_last_checkpoint(self, number: int) -> None:
        """Delete all but the newest checkpoint of a trial that has ended; nobody waits for it."""

        def delete() -> None:
            # one storage error is enough, and an interruption does not wait for a far storage
            if self.fault is not None or self.controller.is_interrupted:
                return
            with self.keeping_fault():
                Checkpoints(self._checkpoints, number).keep_last(1)

        self._deleting.submit(delete)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the work of a transport.

        Raises:
            Exception: what the search could not go on without, once the transport has stopped.
            RunError: when all that was trained in this session failed.
        """
        try:
            self._make_logs()
            yield
        finally:
            self._deleting.shutdown()
        for line, count in self._failures.most_common():
            if count > 1:
                self.view.note(printable(f"{count} {self.controller.noun}s failed: {line}"))
        if self.fault is not None:
            raise self.fault
        if not self.controller.is_interrupted:
            self.controller.first_failures.check(self.controller.noun)

    def _make_logs(self) -> None:
        """The folder that own code's workers write their logs in, and go on with those there."""
        if self.experiment.trainable is not None:
            self.folder.logs.mkdir(parents=True, exist_ok=True)
        for log in self.folder.logs.glob("*"):
            unlinked(log, self.folder.path)

    def _log(self, number: int, text: str) -> None:
        self.folder.logs.mkdir(parents=True, exist_ok=True)
        file = unlinked(self.folder.log_file(number), self.folder.path)
        with file.open("a", errors="backslashreplace") as log:
            log.write(text)
