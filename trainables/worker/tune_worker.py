"""The worker of the plain transport: one Tune trial trains one configuration, epoch by epoch."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from spaces.code import files_taken, find
from spaces.problems import InputError, RunError
from spaces.project import restore_path
from spaces.training_config import AnyConfig, CodeConfig, identity, parse_config
from trainables.checkpoints.checkpoints import MOST_BYTES, Checkpoints
from trainables.data.splits import Data
from trainables.models.families import most_state_bytes
from trainables.training import EpochReport, Training
from trainables.user_code.files import OwnFolder
from trainables.user_code.training import CodeTraining
from trainables.worker.output import Printing
from trainables.worker.tune_place import code_here, device_of_this_process, enter
from trainables.worker.watchdog import Watchdog


@dataclass(frozen=True)
class Origin:
    """A trial that another training takes on: where its checkpoints lie, and what it reported."""

    checkpoints: str
    trial: int
    reports: tuple[EpochReport, ...]


@dataclass(frozen=True)
class Assignment:
    """What a worker is told about its trial.

    ``config``: plain data of the resolved settings. ``reported``: epochs that the journal has as
    the worker begins, or begins again. ``checkpoints``: folder or URI under which the trials'
    checkpoints lie. ``origin``: another such place, the trial there from which to begin while there
    is none of its own, and what that one reported. ``project``: the folder of the user's own code,
    on the driver's machine. ``log_file``: where what the code prints goes, if that folder is there
    on the worker's machine. ``files``: the run's folder, and below it that of this trial for files
    of its own, and of the trial in ``origin``. ``directory``: where the user's own code runs,
    unless it was shipped to a cluster.
    """

    trial: int
    config: dict[str, Any]
    reported: int
    checkpoints: str
    origin: Origin | None
    project: str | None
    log_file: str
    files: tuple[str, str, str | None]
    epoch_timeout_seconds: float | None
    directory: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a worker answers after each epoch.

    ``report`` is None when the training had ended before; ``error`` is the traceback of an
    exception in it; ``fault`` is what the whole search can't go on without: a storage, room on a
    disk, the file of the user's own code. ``printed`` is what the code printed meanwhile, unless it
    is in the log; ``notes`` are lines for the one who searches.
    """

    report: EpochReport | None
    checkpoint: str | None
    printed: str
    error: str | None = None
    fault: str | None = None
    notes: tuple[str, ...] = ()


class PlainWorker(tune.Trainable):  # type: ignore[misc]
    """A process that trains one configuration after the other; Tune calls it, epoch by epoch."""

    _training: Training | CodeTraining | None = None
    _watchdog: Watchdog | None = None

    def setup(self, config: dict[str, Any], data: Data | None = None) -> None:
        """Take the first trial.

        Args:
            config: ``{"assignment": …}``.
            data: the dataset, from Ray's object store; None for the user's own code.
        """
        restore_path()
        self._data = data
        self._remove_empty_folder()
        self._printing = Printing()
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; its process and the data on its device stay."""
        self.cleanup()
        self._remove_empty_folder()
        self._take(new_config)
        return True

    def _remove_empty_folder(self) -> None:
        """Remove what Tune makes for a trial on each node; nothing is ever put into it."""
        with contextlib.suppress(OSError):
            Path(self.logdir).rmdir()

    def cleanup(self) -> None:
        """Close the user's generator, if there is one."""
        if self._training is not None:
            with contextlib.suppress(Exception), self._watched():  # a ``finally`` may hang, too
                self._training.close()
        self._training = None
        self._printing.close()

    def _take(self, config: dict[str, Any]) -> None:
        self._assignment: Assignment = config["assignment"]
        self._printing.open(self._assignment.log_file)
        self._unsent: deque[EpochReport] = deque()
        self._notes: list[str] = []
        self._code: dict[str, Any] | None = None

    def step(self) -> dict[str, Any]:
        """Train one epoch, or hand in again a report that may have been lost on its way.

        What an exception says comes back in the outcome; but one for want of memory or of room on
        a disk is let out, so that Tune starts the trial again in a fresh process.
        """
        report = checkpoint = error = fault = None
        try:
            with self._watched():
                report, checkpoint = self._next_report()
        except RunError as no_fault_of_the_trial:
            fault = str(no_fault_of_the_trial)
        except (Exception, SystemExit) as exception:  # a trial's code may call sys.exit
            if is_short_of_room(exception):
                raise
            error = traceback.format_exc()
        notes, self._notes = tuple(self._notes), []
        printed = self._printing.take()
        return {"outcome": Outcome(report, checkpoint, printed, error, fault, notes)}

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """An epoch that takes too long ends the process."""
        timeout = self._assignment.epoch_timeout_seconds
        if timeout is not None:
            file = self._printing.traces_to
            faulthandler.dump_traceback_later(timeout, exit=True, file=file)
            self._watchdog = self._watchdog or Watchdog()
            self._watchdog.begin(timeout, self._assignment.log_file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            if self._watchdog is not None:
                self._watchdog.end()

    def _next_report(self) -> tuple[EpochReport | None, str | None]:
        """The next report, or None at the end, and the path of its checkpoint."""
        if self._training is None:
            self._start()
        assert self._training is not None
        if self._unsent:
            return self._unsent.popleft(), None
        try:
            report = next(self._training)
        except StopIteration:
            return None, None
        if self._training.config.metric.name not in report.metrics:
            return report, None  # the search refuses it, and no checkpoint shall bring it back
        # the driver has every earlier report, or it would not have asked for this epoch
        training = self._training.state_dict()
        state = {"of": self._identity, "training": training, "reports": [asdict(report)]}
        if isinstance(self._training, CodeTraining):
            self._code = files_taken(self._training.config.trainable, self._code)
            state["code"] = self._code
        return report, self._checkpoints.save(report.epoch, state)

    def _start(self) -> None:
        """Set the process up for this trial and go on from its newest checkpoint, if any."""
        config = parse_config(self._assignment.config)
        if isinstance(config, CodeConfig):
            here = code_here(config.trainable, self._assignment.project)
            config = config.model_copy(update={"trainable": here})
            _check_there(here)
            enter(self._assignment.directory)
        self._identity = identity(config)
        torch.set_num_threads(config.threads)
        run, name, begun = self._assignment.files
        folder = OwnFolder(Path(run), name, begun, self._identity)
        device, gpu_ids = device_of_this_process(config)
        number = self._assignment.trial
        self._training = make_training(config, self._data, device, gpu_ids, number, folder)
        most = MOST_BYTES
        if isinstance(self._training, Training):
            most = most_state_bytes(self._training.model)
        own = Checkpoints(self._assignment.checkpoints, self._assignment.trial, most)
        self._checkpoints = own
        own.check_root()
        if self._go_on(own, ()) or (origin := self._assignment.origin) is None:
            return
        self._go_on(Checkpoints(origin.checkpoints, origin.trial, most), origin.reports)

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
        """The states that can be read, the newest first; files that can't be are told."""
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


def make_training(
    config: AnyConfig,
    data: Data | None,
    device: torch.device,
    gpu_ids: tuple[str, ...] = (),
    trial: int = 0,
    folder: OwnFolder | None = None,
) -> Training | CodeTraining:
    """The training that a configuration asks for.

    Args:
        config: its settings.
        data: None for the user's own code.
        device: where to train.
        gpu_ids: the GPUs that Ray gave it, for the user's own code; as are the following.
        trial: its number.
        folder: for files of its own.

    Raises:
        ValueError: when a built-in model does not fit the data.
    """
    if isinstance(config, CodeConfig):
        return CodeTraining(config, device, gpu_ids, trial, folder)
    assert data is not None
    return Training(config, data, device)


def is_short_of_room(error: BaseException) -> bool:
    """Whether there was no memory left, here or on the GPU, or no room on a disk of the code's.

    (A CPU's allocator has no type of its own for it.)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
