"""The worker of the plain transport: one Tune trial trains one configuration, epoch by epoch."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import io
import os
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import ray
import torch
from ray import tune

from spaces.code import absolute_reference
from trainables.checkpoints import Checkpoints, StorageError
from trainables.config import AnyConfig, CodeConfig, parse_config
from trainables.data import Data
from trainables.own_code import CodeTraining
from trainables.training import EpochReport, Training

_STDERR = 2  # the file descriptor: sys.stderr is redirected while the code runs


@dataclass(frozen=True)
class Assignment:
    """What a worker is told about its trial.

    ``config``: plain data of the resolved settings. ``reported``: epochs that the journal already
    has. ``checkpoints``: folder or URI under which the trials' checkpoints lie. ``origin``: another
    such place, and the trial there from which to begin while there is none of its own.
    ``log_file``: where what the code prints goes, if that folder is there on the worker's machine.
    ``directory``: where the user's own code runs, unless it was shipped to a cluster.
    """

    trial: int
    config: dict[str, Any]
    reported: int
    checkpoints: str
    origin: tuple[str, int] | None
    log_file: str
    epoch_timeout_seconds: float | None
    directory: str | None = None


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


class _Log(io.TextIOWrapper):
    """A log that loses lines where its disk is full, for a training is worth more than its log."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            super().write(text)
        return len(text)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


class PlainWorker(tune.Trainable):  # type: ignore[misc]
    """A process that trains one configuration after the other; Tune calls it, epoch by epoch."""

    _training: Training | CodeTraining | None = None

    def setup(self, config: dict[str, Any], data: Data | None = None) -> None:
        """Take the first trial.

        Args:
            config: ``{"assignment": …}``.
            data: the dataset, from Ray's object store; None for the user's own code.
        """
        self._data = data
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; its process and the data on its device stay."""
        self.cleanup()
        self._take(new_config)
        return True

    def cleanup(self) -> None:
        """Close the user's generator, if there is one."""
        if self._training is not None:
            with (
                self._open_log() as log,
                contextlib.redirect_stdout(log),
                contextlib.suppress(Exception),
            ):
                self._training.close()
        self._training = None

    def _take(self, config: dict[str, Any]) -> None:
        self._assignment: Assignment = config["assignment"]
        self._unsent: deque[EpochReport] = deque()
        self._reports: list[EpochReport] = []

    def step(self) -> dict[str, Any]:
        """Train one epoch, or hand in again a report that may have been lost on its way.

        What an exception says comes back in the outcome; but one for want of memory or of room on
        a disk is let out, so that Tune starts the trial again in a fresh process.
        """
        report = checkpoint = error = fault = None
        log = self._open_log()
        try:
            with self._watched(log):
                report, checkpoint = self._next_report()
        except StorageError as no_storage:
            fault = str(no_storage)
        except (Exception, SystemExit) as exception:  # a trial's code may call sys.exit
            if is_short_of_room(exception):
                raise
            error = traceback.format_exc()
        printed = log.getvalue() if isinstance(log, io.StringIO) else ""
        log.close()
        return {"outcome": Outcome(report, checkpoint, printed, error, fault)}

    @contextlib.contextmanager
    def _watched(self, log: TextIO) -> Iterator[None]:
        """What is printed goes to the log; an epoch that takes too long ends the process."""
        timeout = self._assignment.epoch_timeout_seconds
        if timeout is not None:
            file = _STDERR if isinstance(log, io.StringIO) else log.fileno()
            faulthandler.dump_traceback_later(timeout, exit=True, file=file)
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _open_log(self) -> TextIO:
        """The trial's log, line by line; or a buffer where it can't be written from here."""
        try:
            file = open(self._assignment.log_file, "ab")  # noqa: SIM115 (closed by the wrapper)
            return _Log(file, "utf-8", "backslashreplace", line_buffering=True)
        except OSError:
            return io.StringIO()

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
        path = self._checkpoints.save(report.epoch, {"training": state, "reports": reports})
        return report, path

    def _start(self) -> None:
        """Set the process up for this trial and go on from its newest checkpoint, if any."""
        config = parse_config(self._assignment.config)
        if isinstance(config, CodeConfig):
            config = config.model_copy(update={"trainable": code_here(config.trainable)})
            _enter(self._assignment.directory)
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


def code_here(reference: str) -> str:
    """Where the user's code lies in this process: Ray ships it to the workers of a cluster.

    Args:
        reference: ``/path/on/the/driver.py:function``.
    """
    if not ray.get_runtime_context().runtime_env.get("working_dir"):
        return reference
    return absolute_reference(Path(reference).name, Path.cwd())


def _enter(directory: str | None) -> None:
    """Work where the search began; code that was shipped works in its own copy of its folder."""
    if directory is not None and not ray.get_runtime_context().runtime_env.get("working_dir"):
        with contextlib.suppress(OSError):  # another machine; the driver's own was told
            os.chdir(directory)


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
