"""A process that trains one configuration over and over, and tells how far it is.

It runs on a node of the cluster, beside others like it. Nothing of the run is touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from spaces.given import Packed
from spaces.project import restore_path
from spaces.training_config import AnyConfig, CodeConfig
from trainables.data.splits import Data
from trainables.training import Training
from trainables.trainings import make_training
from trainables.user_code.training import CodeTraining
from trainables.worker.threads import limit_threads
from trainables.worker.tune_place import RayPlace

_TELL_SECONDS = 0.1


class Progress(NamedTuple):
    """How far a process is.

    ``work``: steps of a built-in model, reports of own code. ``seconds``: when it was so far, by a
    clock of its own. ``used_bytes`` of ``total_bytes`` of its GPU's memory are taken, by anyone;
    None without a GPU.
    """

    work: int
    seconds: float
    used_bytes: int | None
    total_bytes: int | None


class Board:
    """Where the processes tell their progress; an actor of Ray's."""

    def __init__(self) -> None:
        self._progress: dict[int, Progress] = {}

    def tell(self, process: int, progress: Progress) -> None:
        """Keep the newest of a process."""
        self._progress[process] = progress

    def read(self) -> dict[int, Progress]:
        """The newest of each."""
        return self._progress


@dataclass(frozen=True)
class Sample:
    """What is trained: ``config``, whose code is in ``project``, and runs in ``directory``."""

    config: AnyConfig
    project: str | None
    directory: str | None
    functions: Mapping[str, Packed]


def train_until_cancelled(process: int, board: Any, sample: Sample, data: Data | None) -> str:
    """Train, again and again, until Ray cancels this task.

    Args:
        process: its number on the board.
        board: the actor.
        sample: what to train.
        data: what built-in models are trained on.

    Returns:
        Why it could not go on.
    """
    restore_path()
    place, config = RayPlace(sample.functions), sample.config
    if isinstance(config, CodeConfig):
        here = place.code(config.trainable, sample.project)
        config = config.model_copy(update={"trainable": here})
        place.enter(sample.directory)
        limit_threads(config.threads)
    torch.set_num_threads(config.threads)
    device, gpu_ids = place.device(config)
    meter = _Meter(device)
    try:
        with _telling(process, board, meter):
            while True:
                training = make_training(config, data, device, gpu_ids)
                try:
                    if not meter.follow(training):
                        return "the code ended before it reported an epoch"
                finally:
                    training.close()
    except (Exception, SystemExit) as error:  # the search itself tells what is wrong with it
        return f"{type(error).__name__}: {error}"


class _Meter:
    """Measures how far the trainings of this process are, one after the other."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._steps: tuple[int, Training | None] = 0, None  # of earlier trainings; the present one
        self._reports: tuple[int, float] = 0, 0.0  # and when the last one came

    def follow(self, training: Training | CodeTraining) -> bool:
        """Go through a training to its end; returns whether it reported anything."""
        steps, (reports, _) = self._steps[0], self._reports
        if isinstance(training, Training):
            self._steps = steps, training
        for count, _ in enumerate(training, start=reports + 1):
            self._reports = count, time.monotonic()
        if isinstance(training, Training):
            self._steps = steps + training.step, None
        return self._reports[0] > reports

    def read(self) -> Progress:
        """How far it is now; called in another thread."""
        (steps, training), (work, seconds) = self._steps, self._reports
        steps += 0 if training is None else training.step
        if steps:
            work, seconds = steps, time.monotonic()
        memory = gpu_memory(self._device) if work else (None, None)
        return Progress(work, seconds, *memory)


@contextmanager
def _telling(process: int, board: Any, meter: _Meter) -> Iterator[None]:
    """Tell the progress several times a second, meanwhile."""
    is_over = threading.Event()

    def tell() -> None:
        while not is_over.wait(_TELL_SECONDS):
            board.tell.remote(process, meter.read())

    thread = threading.Thread(target=tell, name="shoal-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def gpu_memory(device: torch.device) -> tuple[int, int] | tuple[None, None]:
    """How many bytes of a GPU's memory are taken, by all processes, and of how many; else None."""
    if device.type != "cuda":
        return None, None
    free, total = torch.cuda.mem_get_info(device)
    return total - free, total
