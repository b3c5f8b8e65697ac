"""The jobs that every contender is given: data, network, space, how many trials and epochs.

Shoal reads ``jobs/<name>.yaml``; all others read this file. A test sees that both say the same.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.data.cuts import cut
from trainables.data.sources import SOURCES

LR = (1e-4, 1.0)  # on a log scale
DROPOUT = (0.0, 0.7)
ACTIVATIONS = {"none": "Identity", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU"}  # of nn
BATCH_SIZE = 64  # with Adam
REDUCTION_FACTOR = 3
WORKERS = 2  # trials at a time, where a contender has workers; each on one core

Array = npt.NDArray[Any]


class Arrays(NamedTuple):
    """Pixels in [0, 1], float32, of shape (images, pixels); classes, int64, of shape (images,)."""

    inputs: Array
    classes: Array

    def take(self, rows: Array) -> Arrays:
        return Arrays(self.inputs[rows], self.classes[rows])


@dataclass(frozen=True)
class Job:
    """A search: an MLP with one hidden layer, Adam, ASHA from the first epoch on."""

    name: str
    trials: int
    max_epochs: int
    pixels: int
    hidden: int
    validation: int  # images, of those that are not in the test split


JOBS = {
    "digits": Job("digits", trials=40, max_epochs=27, pixels=64, hidden=64, validation=288),
    "mnist": Job("mnist", trials=12, max_epochs=4, pixels=784, hidden=512, validation=10_000),
}


def data_root() -> str:
    """Where datasets lie, as Shoal looks for them."""
    return os.environ.get("SHOAL_DATA", "data")


def digits() -> tuple[Array, Array]:
    """scikit-learn's images, (1438, 8, 8) in [0, 1], and their classes, without the test split.

    Read and cut by Shoal's functions: to import scikit-learn would cost each process 2 s more.
    """
    split = SOURCES["digits"].read(Path(data_root()), True, False)
    return split.inputs[:, 0], split.targets


def split_rows(classes: Any, validation: int, seed: int) -> tuple[Array, Array]:
    """The rows of the training and the validation split, which are Shoal's with the same seed."""
    rows = np.arange(len(classes))
    return cut(rows, validation, seed, "validation", np.asarray(classes))


def load_arrays(job: Job, seed: int) -> tuple[Arrays, Arrays]:
    """The training and the validation split, whole in memory."""
    if job.name == "digits":
        images, classes = digits()
    else:
        from torchvision.datasets import MNIST

        dataset = MNIST(data_root(), download=True)
        images, classes = dataset.data.numpy() / np.float32(255), dataset.targets.numpy()
    whole = Arrays(images.reshape(len(images), job.pixels), classes)
    train, validation = split_rows(classes, job.validation, seed)
    return whole.take(train), whole.take(validation)


@dataclass
class Task:
    """What one process of a contender is asked to do, and what it has to say in the end.

    ``trials`` may be fewer than the job's, for a quick look; ``folder`` is for its files.
    """

    job: Job
    trials: int
    seed: int
    folder: Path
    first_result: float | None = None  # seconds since 1970

    @classmethod
    def of_command_line(cls) -> Task:
        """From ``JOB TRIALS SEED FOLDER``."""
        job, trials, seed, folder = sys.argv[1:]
        return cls(JOBS[job], int(trials), int(seed), Path(folder))

    def note_result(self) -> None:
        """An epoch's score has come in; the first one's time is kept."""
        self.first_result = self.first_result or time.time()

    def finish(self, trials: int, epochs: int, best: float) -> None:
        """Leave the outcome.

        Args:
            trials: how many were begun.
            epochs: trained, over all trials.
            best: the highest last validation accuracy of any trial.
        """
        outcome = {"trials": trials, "epochs": epochs, "best": best}
        found = json.dumps({**outcome, "first_result": self.first_result})
        (self.folder / "outcome.json").write_text(found)
