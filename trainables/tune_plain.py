"""The worker of the plain transport: one Tune trial trains one configuration, epoch by epoch."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from spaces.code import files_taken
from spaces.project import restore_path
from trainables.checkpoints import Checkpoints, StorageError
from trainables.config import AnyConfig, CodeConfig, parse_config
from trainables.data import Data
from trainables.own_code import CodeTraining
from trainables.streams import Printing
from trainables.training import EpochReport, Training


@dataclass(frozen=True)
class Assignment:
    """What a worker is told about its trial.

    ``config``: plain data of the resolved settings. ``reported``: epochs that the journal already
    has. ``checkpoints``: folder or URI under which the trials' checkpoints lie. ``origin``: another
    such place, and the trial there from which to begin while there is none of its own.
    ``project``: the folder of the user's own code, on the driver's machine. ``log_file``: where
    what the code prints goes, if that folder is there on the worker's machine.
    """

    trial: int
    config: dict[str, Any]
    reported: int
    checkpoints: str
    origin: tuple[str, int] | None
    project: str | None
    log_file: str
    epoch_timeout_seconds: float | None


@dataclass(frozen=True)
class Outcome:
    """What a worker answers after each epoch.

    ``report`` is None when the training had ended before; ``error`` is the traceback of an
    exception in it; ``fault`` is what the whole search can't go on without: a storage, room on a
    disk. ``printed`` is what the code printed meanwhile, unless it is in the log.
    """

    report: EpochReport | None
    checkpoint: str | None
    printed: str
    error: str | None = None
    fault: str | None = None


class PlainWorker(tune.Trainable):  # type: ignore[misc]
    """A process that trains one configuration after the other; Tune calls it, epoch by epoch."""

    _training: Training | CodeTraining | None = None

    def setup(self, config: dict[str, Any], data: Data | None = None) -> None:
        """Take the first trial.

        Args:
            config: ``{"assignment": …}``.
            data: the dataset, from Ray's object store; None for the user's own code.
        """
        restore_path()
        self._data = data
        self._printing = Printing()
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; its process and the data on its device stay."""
        self.cleanup()
        self._take(new_config)
        return True

    def cleanup(self) -> None:
        """Close the user's generator, if there is one."""
        if self._training is not None:
            with contextlib.suppress(Exception):
                self._training.close()
        self._training = None
        self._printing.close()

    def _take(self, config: dict[str, Any]) -> None:
        self._assignment: Assignment = config["assignment"]
        self._printing.open(self._assignment.log_file)
        self._unsent: deque[EpochReport] = deque()
        self._reports: list[EpochReport] = []
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
        except StorageError as no_storage:
            fault = str(no_storage)
        except (Exception, SystemExit) as exception:  # a trial's code may call sys.exit
            if is_short_of_room(exception):
                raise
            error = traceback.format_exc()
        return {"outcome": Outcome(report, checkpoint, self._printing.take(), error, fault)}

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """An epoch that takes too long ends the process."""
        timeout = self._assignment.epoch_timeout_seconds
        if timeout is not None:
            file = self._printing.traces_to
            faulthandler.dump_traceback_later(timeout, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

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
        self._reports.append(report)
        state = self._training.state_dict()
        reports = [asdict(report) for report in self._reports]
        held = {"training": state, "reports": reports, "code": self._taken()}
        return report, self._checkpoints.save(report.epoch, held)

    def _taken(self) -> dict[str, Any] | None:
        """What the user's code took from its project so far, this trial's process or an earlier."""
        config = self._training.config if self._training is not None else None
        if not isinstance(config, CodeConfig):
            return None
        self._code = files_taken(config.trainable, self._code)
        return self._code

    def _start(self) -> None:
        """Set the process up for this trial and go on from its newest checkpoint, if any."""
        config = parse_config(self._assignment.config)
        if isinstance(config, CodeConfig):
            here = code_here(config.trainable, self._assignment.project)
            config = config.model_copy(update={"trainable": here})
        torch.set_num_threads(config.threads)
        self._checkpoints = Checkpoints(self._assignment.checkpoints, self._assignment.trial)
        self._checkpoints.check_root()
        self._training = make_training(config, self._data, *_device_of_this_process(config))
        saved = self._checkpoints.load()
        if saved is None and self._assignment.origin is not None:
            saved = Checkpoints(*self._assignment.origin).load()
        if saved is None:
            return
        self._training.load_state_dict(saved["training"])
        self._code = saved.get("code")
        reports = [EpochReport(**report) for report in saved["reports"]]
        # the user's code goes back to the last epoch that it saved, and reports the later ones anew
        self._reports = [report for report in reports if report.epoch <= self._training.epoch]
        self._unsent.extend(r for r in self._reports if r.epoch > self._assignment.reported)


def make_training(
    config: AnyConfig, data: Data | None, device: torch.device, gpu_ids: tuple[str, ...] = ()
) -> Training | CodeTraining:
    """The training that a configuration asks for.

    Raises:
        ValueError: when a built-in model does not fit the data.
    """
    if isinstance(config, CodeConfig):
        return CodeTraining(config, device, gpu_ids)
    assert data is not None
    return Training(config, data, device)


def code_here(reference: str, project: str | None) -> str:
    """Where the user's code lies in this process: Ray ships it to the workers of a cluster.

    Args:
        reference: ``/path/on/the/driver.py:function``.
        project: the folder of it that was shipped.
    """
    if project is None or not ray.get_runtime_context().runtime_env.get("working_dir"):
        return reference
    place, _, function = reference.rpartition(":")
    return f"{Path.cwd() / Path(place).relative_to(project)}:{function}"


def is_short_of_room(error: BaseException) -> bool:
    """Whether there was no memory left, here or on the GPU, or no room on a disk of the code's.

    (A CPU's allocator has no type of its own for it.)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _device_of_this_process(config: AnyConfig) -> tuple[torch.device, tuple[str, ...]]:
    """The device to train on, by what Ray gave this process, and the ids of its GPUs."""
    gpu_ids = tuple(str(gpu) for gpu in ray.get_runtime_context().get_accelerator_ids()["GPU"])
    has_gpu = bool(gpu_ids) and config.device == "auto" and torch.cuda.is_available()
    return torch.device("cuda" if has_gpu else "cpu"), gpu_ids
