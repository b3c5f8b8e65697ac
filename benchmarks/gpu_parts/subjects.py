"""What is trained: four networks, and images that are generated, since only their shapes count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu_parts.recording import Setting
from benchmarks.rates import configurations
from spaces.files import load_experiment
from spaces.training_config import TrainConfig, resolve
from trainables.data.sources import Split
from trainables.data.splits import Data

_CLASSES = tuple("0123456789")
_QUICK_BATCH = 4
_EPOCHS = 10_000  # more than anything here trains


@dataclass(frozen=True)
class Subject:
    """A network, and so many training images of a shape; a tenth as many validate."""

    name: str
    shape: tuple[int, int, int]
    images: int
    make: Callable[[int], list[TrainConfig]]

    def configs(self, setting: Setting, count: int, **train: Any) -> list[TrainConfig]:
        """So many configurations of one kind, with these settings of ``train``."""
        changes = {"batch_size": _QUICK_BATCH, **train} if setting.is_quick else train
        return [_changed(config, changes) for config in self.make(count)]

    def data(self, setting: Setting) -> Data:
        """Its images, which show their class."""
        count = 2 * _QUICK_BATCH if setting.is_quick else self.images
        draw = np.random.default_rng(0)
        ideals = draw.uniform(size=(len(_CLASSES), *self.shape))

        def split(size: int) -> Split:
            targets = np.arange(size) % len(_CLASSES)
            noise = draw.uniform(size=(size, *self.shape))
            inputs = 255 * (0.4 * ideals[targets] + 0.6 * noise)
            return Split(inputs.astype(np.uint8), targets.astype(np.int64))

        zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
        return Data(split(count), split(max(10, count // 10)), _CLASSES, zero, one)


def _changed(config: TrainConfig, train: dict[str, Any]) -> TrainConfig:
    settings = config.train.model_copy(update=train)
    return config.model_copy(update={"train": settings, "epochs": _EPOCHS, "max_epochs": _EPOCHS})


def _perceptrons(dataset: str, hidden: int) -> Callable[[int], list[TrainConfig]]:
    return lambda count: configurations(dataset, [hidden], 32, count)


def _convnets(study: str) -> Callable[[int], list[TrainConfig]]:
    """The baseline of a study under different seeds."""

    def make(count: int) -> list[TrainConfig]:
        experiment = load_experiment(study)
        found = [resolve(experiment, experiment.baseline or {}, seed) for seed in range(count)]
        return [config for config in found if isinstance(config, TrainConfig)]

    return make


SUBJECTS = (
    Subject("MLP 64-64-10", (1, 8, 8), 1_150, _perceptrons("digits", 64)),
    Subject("MLP 784-512-10", (1, 28, 28), 12_800, _perceptrons("mnist", 512)),
    Subject("convnet of 813,802", (1, 28, 28), 3_200, _convnets("mnist-cnn")),
    Subject("convnet of 4,742,954", (1, 28, 28), 3_200, _convnets("mnist-dropout")),
)
