"""Trainings so small that hundreds of them take seconds: 26 samples, a few dozen weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from spaces.training_config import TrainConfig
from trainables.data.sources import Split
from trainables.data.splits import Data
from trainables.training import Training

CPU = torch.device("cpu")
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"hidden": [6], "norm": "batch", "dropout": 0.3},
    "dropconnect": {"hidden": [6], "norm": "layer", "dropconnect": 0.3},
    "convnet": {
        "family": "convnet",
        "blocks": [{"channels": 3, "kernel": 3, "pool": 2}],
        "hidden": [5],
        "norm": "layer",
        "block_norm": "batch",
        "dropout": 0.3,
        "block_dropout": 0.2,
    },
}


def tiny_data(regression: bool = False, train: int = 26, validation: int = 9) -> Data:
    """Images of 1x4x4 whose class, or value, follows from their brightness."""
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        level = np.arange(size) % 3
        noise = generator.normal(0, 0.05, (size, 1, 4, 4))
        inputs = (0.2 + 0.3 * level[:, None, None, None] + noise).astype(np.float32)
        values = level.astype(np.float32)[:, None]
        return Split(inputs, values if regression else level.astype(np.int64))

    names = () if regression else ("dark", "grey", "light")
    zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
    return Data(split(train), split(validation), names, zero, one)


def tiny_config(**changes: Any) -> TrainConfig:
    """A configuration for ``tiny_data``; sections given replace the ones here."""
    regression = changes.pop("regression", False)
    name = "val_loss" if regression else "val_accuracy"
    sections: dict[str, Any] = {
        "dataset": {"name": "diabetes" if regression else "digits"},
        "model": {"hidden": [6]},
        "train": {"batch_size": 8, "lr": 0.05},
        "metric": {"name": name, "mode": "min" if regression else "max"},
        "epochs": 4,
        "max_epochs": 4,
        "seed": 3,
        "split_seed": 0,
        "threads": 1,
    }
    return TrainConfig.model_validate({**sections, **changes})


def tiny_training(data: Data | None = None, **changes: Any) -> Training:
    regression = changes.get("regression", False)
    return Training(tiny_config(**changes), data or tiny_data(regression), CPU)
