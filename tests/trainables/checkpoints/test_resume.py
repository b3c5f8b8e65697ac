"""A training that is interrupted and resumed ends as if it had not been, bit for bit."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.tiny_training import MODELS, tiny_training
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.reports import EpochReport
from trainables.training import Training

OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "lr": 0.1},
    "adam": {"optimizer": "adam", "clip_norm": 0.5},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.5},
}
SCHEDULES = ["constant", "exponential", "inverse_time", "cosine"]


def resumed(folder: Path, interrupted: Training, **changes: Any) -> Training:
    """A new training that goes on from a checkpoint of ``interrupted``."""
    Checkpoints(str(folder), 0).save(interrupted.epoch, interrupted.state_dict())
    state = Checkpoints(str(folder), 0).load()
    assert state is not None
    training = tiny_training(**changes)
    training.load_state_dict(state)
    return training


def advance(training: Training, epochs: int) -> list[EpochReport]:
    return [next(training) for _ in range(epochs)]


def assert_equal_weights(left: Training, right: Training) -> None:
    first, second = left.weights(), right.weights()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def ends_the_same(folder: Path, **changes: Any) -> list[EpochReport]:
    """See that a training interrupted after two epochs ends as one in one go; its reports."""
    straight = tiny_training(**changes)
    expected = list(straight)
    first = tiny_training(**changes)
    reports = advance(first, 2)
    second = resumed(folder, first, **changes)
    assert reports + list(second) == expected
    assert_equal_weights(second, straight)
    return expected


@pytest.mark.parametrize(
    ("family", "optimizer", "schedule"), list(product(MODELS, OPTIMIZERS, SCHEDULES))
)
def test_a_resumed_training_ends_with_the_same_weights_and_reports(
    tmp_path: Path, family: str, optimizer: str, schedule: str
) -> None:
    train = {
        "batch_size": 8,
        "schedule": {"name": schedule, "decay": 0.1, "warmup_epochs": 1.5},
        **OPTIMIZERS[optimizer],
    }
    ends_the_same(tmp_path, model=MODELS[family], train=train)


SETTINGS: dict[str, dict[str, Any]] = {
    "label smoothing": {"label_smoothing": 0.1},
    "class weights": {"class_weights": "balanced"},
    "crop": {"crop": 1},
    "flip": {"flip": True},
    "cutout": {"cutout": 2},
    "mixup": {"mixup": 0.4},
    "accumulate": {"accumulate": 3},
    "patience": {"patience": 2},
    "bfloat16": {"precision": "bfloat16"},
    "all": {
        "label_smoothing": 0.1,
        "class_weights": [1, 2, 3],
        "crop": 1,
        "flip": True,
        "cutout": 2,
        "mixup": 0.4,
        "accumulate": 3,
        "patience": 3,
        "precision": "bfloat16",
    },
}


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_resumed_training_ends_the_same_with_each_setting(
    tmp_path: Path, setting: str, family: str
) -> None:
    train = {"batch_size": 4, **SETTINGS[setting]}
    expected = ends_the_same(tmp_path, model=MODELS[family], train=train)
    plain = tiny_training(model=MODELS[family], train={"batch_size": 4})
    assert setting == "patience" or list(plain) != expected


@pytest.mark.parametrize("epoch", [0, 1, 3, 4])
def test_a_training_may_be_interrupted_after_any_epoch(tmp_path: Path, epoch: int) -> None:
    straight = tiny_training()
    expected = list(straight)
    first = tiny_training()
    reports = advance(first, epoch)
    second = resumed(tmp_path, first)
    assert reports + list(second) == expected
    assert_equal_weights(second, straight)


def best_training() -> Training:
    """A learning rate so high that the best epoch comes before the last."""
    return tiny_training(**BEST)


BEST: dict[str, Any] = {
    "train": {"batch_size": 8, "lr": 0.2, "schedule": {"name": "exponential", "gamma": 1.0}},
    "model": {"hidden": [6], "dropout": 0.5},
    "metric": {"name": "val_loss", "mode": "min", "scope": "best"},
    "epochs": 12,
    "max_epochs": 12,
}


def test_scope_best_keeps_the_weights_of_the_best_epoch() -> None:
    losses = [report.metrics["val_loss"] for report in best_training()]
    best = losses.index(min(losses))
    assert best < 11
    training = best_training()
    list(training)
    at_best = best_training()
    advance(at_best, best + 1)
    current = at_best.model.state_dict()
    assert all(torch.equal(held, current[name]) for name, held in training.weights().items())


def test_scope_last_keeps_the_weights_of_the_last_epoch() -> None:
    training = tiny_training()
    list(training)
    current = training.model.state_dict()
    assert all(torch.equal(held, current[name]) for name, held in training.weights().items())


def test_the_best_epoch_survives_an_interruption_after_it(tmp_path: Path) -> None:
    straight = best_training()
    list(straight)
    first = best_training()
    advance(first, 11)
    second = resumed(tmp_path, first, **BEST)
    list(second)
    assert_equal_weights(second, straight)
