"""A worker: trains one configuration after the other, epoch by epoch. It knows nothing of Ray."""

from __future__ import annotations

import contextlib
import faulthandler
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from spaces.code import files_taken, find
from spaces.problems import InputError, RunError
from spaces.training_config import AnyConfig, CodeConfig, TrainConfig, identity, parse_config
from trainables.checkpoints.checkpoints import MOST_BYTES, Checkpoints, StorageError
from trainables.checkpoints.saving import Saving
from trainables.data.splits import Data
from trainables.models.families import most_state_bytes
from trainables.ranks import ALONE, Rank
from trainables.reports import EpochReport
from trainables.room import is_short_of_room
from trainables.shoal.pool import Member, Pool, ShoalError
from trainables.training import Training
from trainables.trainings import AnyTraining, make_training
from trainables.user_code.files import OwnFolder
from trainables.user_code.tracebacks import traceback_of
from trainables.user_code.training import CodeTraining
from trainables.worker.messages import Assignment, Outcome
from trainables.worker.place import Output, Place
from trainables.worker.threads import limit_threads
from trainables.worker.watchdog import Watchdog


class Worker:
    """Trains the trial that it was given, and answers once per epoch.

    Args:
        data: the dataset; None for the user's own code.
        place: where it runs.
        output: where what the code prints goes.
        is_interrupted: whether an interruption has reached the code, which may have handled it.
        rank: which of the processes that train each trial together this is; they are in a process
            group then.
        pool: the shoals of this process, which trainings join if they can.
    """

    def __init__(
        self,
        data: Data | None,
        place: Place,
        output: Output,
        is_interrupted: Callable[[], bool] = lambda: False,
        rank: Rank = ALONE,
        pool: Pool | None = None,
    ) -> None:
        self._data = data
        self._place = place
        self._output = output
        self._is_interrupted = is_interrupted
        self._rank = rank
        self._pool = pool
        self._training: AnyTraining | Member | None = None
        self._saving: Saving | None = None
        self._watchdog: Watchdog | None = None

    def take(self, assignment: Assignment) -> None:
        """Take the next trial; this process, and the data on its device, stay."""
        self.close()
        self._assignment = assignment
        self._output.open(assignment.log_file)
        self._unsent: deque[EpochReport] = deque()
        self._unsaved: EpochReport | None = None
        self._notes: list[str] = []
        self._code: dict[str, Any] | None = None
        self._early: BaseException | None = None  # what came of joining a shoal
        if self._pool is not None:
            self._join()

    def _join(self) -> None:
        """Begin before any other trial trains on, so that those of a shoal stay together."""
        try:
            with self._output.capturing(), self._watched():
                self._start()
        except Exception as error:  # told by the first step
            self._early = error

    def close(self) -> None:
        """End the training, whose last state is saved; close the user's generator."""
        if self._saving is not None:
            with self._ending():
                self._save_last()
                self._saving.finish()
        if self._training is not None:
            with self._ending():
                self._training.close()
        self._training = self._saving = None
        self._output.close()

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """A storage may fail, and a ``finally`` of the user's may hang or raise: nobody asks."""
        with contextlib.suppress(Exception, SystemExit), self._output.capturing(), self._watched():
            yield

    def step(self) -> Outcome:
        """Train one epoch, or hand in again a report that may have been lost on its way.

        What an exception says comes back in the outcome.

        Raises:
            Exception: one for want of memory or of room on a disk; the trial is then started again
                in a fresh process.
        """
        report, error, fault = None, None, None
        try:
            with self._output.capturing(), self._watched():
                report = self._next_report()
        except RunError as no_fault_of_the_trial:
            fault = str(no_fault_of_the_trial)
        except (Exception, SystemExit) as exception:  # a trial's code may call sys.exit
            if is_short_of_room(exception) or isinstance(exception, ShoalError):
                raise
            if self._is_interrupted():
                raise KeyboardInterrupt from None
            error = traceback_of(exception, isinstance(self._training, CodeTraining))
        notes, self._notes = tuple(self._notes), []
        saved = self._saving is not None and self._saving.take_written()
        return Outcome(report, saved, self._output.take(), error, fault, notes)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """An epoch that takes too long ends the process."""
        timeout = self._assignment.epoch_timeout_seconds
        if timeout is None:
            yield
            return
        faulthandler.dump_traceback_later(timeout, exit=True, file=self._output.traces_to)
        self._watchdog = self._watchdog or Watchdog()
        self._watchdog.begin(timeout, self._assignment.log_file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._watchdog.end()

    def _next_report(self) -> EpochReport | None:
        """The next report, whose checkpoint is being written; None at the end."""
        if self._early is not None:
            raise self._early
        if self._training is None:
            self._start()
        assert self._training is not None
        assert self._saving is not None
        if self._unsent:
            return self._unsent.popleft()
        self._saving.check()
        unsaved = self._unsaved
        if not isinstance(self._training, CodeTraining):
            self._unsaved = None  # its state changes from here on
        report = next(self._training, None)
        if self._is_interrupted():  # what code reports or returns then is no whole epoch
            raise KeyboardInterrupt
        if report is None:
            self._unsaved = unsaved
            self._save_last()
            self._saving.finish()
        # the search refuses one without its metric, and no checkpoint shall bring it back
        elif self._rank.is_first and self._training.config.metric.name in report.metrics:
            self._unsaved = report
            if report.is_last or self._saving.is_due(report.epoch):
                self._save(report, report.is_last)
        return report

    def _save_last(self) -> None:
        """Save the state after the last report, unless it was saved with that.

        Code that was interrupted may have saved one of the next epoch: no report fits that.
        """
        if self._unsaved is None or self._training is None:
            return
        if self._training.epoch_of(self._training.state_dict()) <= self._unsaved.epoch:
            self._save(self._unsaved, is_last=True)

    def _save(self, report: EpochReport, is_last: bool) -> None:
        """Save the state after a report.

        The driver has every earlier report, or it would not have asked for this epoch.
        """
        assert self._training is not None
        assert self._saving is not None
        training = self._training.state_dict()
        state = {"of": self._identity, "training": training, "reports": [asdict(report)]}
        if isinstance(self._training, CodeTraining):
            self._code = files_taken(self._training.config.trainable, self._code)
            state["code"] = self._code
        self._unsaved = None
        is_live = isinstance(self._training, Training)  # own code's states are copies
        self._saving.save(report.epoch, state, is_live, must_wait=is_last)

    def _start(self) -> None:
        """Set the process up for this trial and go on from its newest checkpoint, if any."""
        given = self._assignment
        config = parse_config(given.config)
        if isinstance(config, CodeConfig):
            here = self._place.code(config.trainable, given.project)
            config = config.model_copy(update={"trainable": here})
            _check_there(here)
            self._place.enter(given.directory)
            limit_threads(config.threads)
        self._identity = identity(config)
        torch.set_num_threads(config.threads)
        run, name, begun = given.files
        folder = OwnFolder(Path(run), name, begun, self._identity if self._rank.is_first else None)
        most, self._training = MOST_BYTES, self._make_training(config, folder)
        if not isinstance(self._training, CodeTraining):
            most = most_state_bytes(self._training.model)
        checkpoints = Checkpoints(given.checkpoints, given.trial, most)
        checkpoints.check_root()
        self._go_on_from_any(checkpoints, most)
        self._saving = Saving(checkpoints, given.saving, self._training.epoch)
        if self._rank.world_size > 1:
            self._meet(folder)

    def _make_training(self, config: AnyConfig, folder: OwnFolder) -> AnyTraining | Member:
        """A training of its own, or one in a shoal."""
        (device, gpu_ids), pool = self._place.device(config), self._pool
        if pool is not None and isinstance(config, TrainConfig) and pool.takes(config):
            return Member(pool, config, device)
        trial = self._assignment.trial
        return make_training(config, self._data, device, gpu_ids, trial, folder, self._rank)

    def _meet(self, folder: OwnFolder) -> None:
        """Let the first rank make the folder of the trial before any other may ask for it."""
        if self._rank.is_first and isinstance(self._training, CodeTraining):
            with contextlib.suppress(StorageError):  # told when the code asks for it
                folder.path()
        distributed.barrier()

    def _go_on_from_any(self, checkpoints: Checkpoints, most: int) -> None:
        """Go on from this trial's checkpoints, or those of the one that it continues."""
        given, origin = self._assignment, self._assignment.origin
        if self._go_on(checkpoints, ()):
            return
        if origin is not None and self._go_on(
            Checkpoints(origin.checkpoints, origin.trial, most), origin.reports
        ):
            return
        reached = max(given.reported, 0 if origin is None else len(origin.reports))
        if reached:
            self._notes.append(f"starts over: no checkpoint of its {reached} epochs can be used")

    def _go_on(self, checkpoints: Checkpoints, earlier: Sequence[EpochReport]) -> bool:
        """Go on from the newest state after which no report is missing; whether there is one.

        What the journal lacks is handed in again: reports that may have been lost on their way
        stand in the checkpoint. Where the journal lacks more, for it was cut off, the epochs are
        trained again; and what another configuration left, under the number that this one has now,
        is passed over.
        """
        assert self._training is not None
        for state in self._each_state(checkpoints):
            if state.get("of", self._identity) != self._identity:  # earlier versions have none
                of_another = "checkpoints of another configuration under its number are passed over"
                if of_another not in self._notes:
                    self._notes.append(of_another)
                continue
            reports = [*earlier, *(EpochReport(**report) for report in state["reports"])]
            by_epoch = {report.epoch: report for report in reports}
            # the user's code goes back to the last epoch that it saved, and reports later ones anew
            epoch = self._training.epoch_of(state["training"])
            unsent = range(self._assignment.reported + 1, epoch + 1)
            if by_epoch.keys() >= set(unsent):
                self._training.load_state_dict(state["training"])
                self._code = state.get("code")
                self._unsent.extend(by_epoch[epoch] for epoch in unsent)
                return True
        return False

    def _each_state(self, checkpoints: Checkpoints) -> Iterator[dict[str, Any]]:
        """The states that can be read, the newest first; files that can't be are noted."""
        try:
            yield from checkpoints.load_all()
        finally:
            self._notes.extend(f"{file}; it is passed over" for file in checkpoints.unreadable)


def _check_there(reference: str) -> None:
    """See that own code is there, without which every other trial would fail, too.

    Raises:
        RunError: when it is not.
    """
    try:
        find(reference)
    except InputError as error:
        raise RunError(f"trainable: {error}") from None
