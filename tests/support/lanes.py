"""Configurations that swim together, and how a shoal of them compares with trainings alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import pytest
import torch

from spaces.settings.model import Activation
from spaces.training_config import TrainConfig
from tests.support.tiny_training import CPU, tiny_config, tiny_data
from trainables.data.splits import Data
from trainables.reports import EpochReport
from trainables.shoal.shoal import Shoal
from trainables.training import Training

NORMS = ("none", "batch", "layer", "group")
INITS = ("default", "normal", "xavier", "he", "orthogonal")
SCHEDULES = (
    "constant",
    "cosine",
    {"name": "exponential", "gamma": 0.7},
    {"name": "inverse_time", "decay": 0.01, "warmup_epochs": 1.5},
)


def lane_config(
    lane: int, optimizer: str = "adam", family: str = "mlp", **changes: Any
) -> TrainConfig:
    """The configuration of a lane; that of another one differs in all that may differ.

    Args:
        lane: its number.
        optimizer: adam: adamw in every other lane.
        family: of its model.
        changes: sections instead of these.
    """
    norm, block_norm = NORMS[lane // 2 % 4], NORMS[lane // 3 % 4] if family == "convnet" else "none"
    decay, penalty = (0.0, 0.01)[lane % 3 // 2], (0.0, 0.001)[lane // 4 % 2]
    # what has no gradient but rounding (a bias of 0 in front of a norm) is not to be decided by it
    is_by_rounding = (norm, block_norm) != ("none", "none") and (decay > 0 or penalty > 0)
    is_robust = family == "mlp" and optimizer != "rmsprop"  # others make more of rounding
    momentum = (0.0, 0.5, 0.9)[lane % 3] if optimizer in ("sgd", "rmsprop") else 0.0
    train = {
        "batch_size": 8,
        "lr": (0.003, 0.01, 0.03)[lane % 3] * (1.0 if is_robust else 0.3),
        "optimizer": "adamw" if optimizer == "adam" and lane % 2 else optimizer,
        "momentum": momentum,
        "nesterov": optimizer == "sgd" and lane % 2 == 1,
        "weight_decay": decay,
        "norm_penalty": penalty,
        "clip_norm": (None, 0.5)[lane // 3 % 2],
        "schedule": SCHEDULES[lane % 4],
        "label_smoothing": (0.0, 0.1)[lane % 2],
    }
    model = {
        "hidden": [12, 6],
        "activation": get_args(Activation)[lane % 8],
        "norm": norm,
        "norm_groups": 3 + lane % 2,
        "init": "default" if is_by_rounding else INITS[lane % 5],
        "dropout": (0.0, 0.2, 0.5)[lane % 3],
    }
    if family == "convnet":
        model |= {"family": family, "hidden": [12], "block_norm": block_norm, **_blocks(lane)}
    metric = {"name": "val_loss", "mode": "min", "scope": "best"}
    given = {"model": model, "train": train, "metric": metric, "seed": 100 + lane}
    return tiny_config(**{**given, **changes})


def in_bfloat16(config: TrainConfig) -> TrainConfig:
    """The same training with ``precision: bfloat16``."""
    train = config.train.model_copy(update={"precision": "bfloat16"})
    return config.model_copy(update={"train": train})


def _blocks(lane: int) -> dict[str, Any]:
    """The blocks of a lane's convnet."""
    own = {"norm": NORMS[lane // 5 % 4], "activation": get_args(Activation)[lane // 3 % 8]}
    return {
        "block_dropout": (0.2, 0.0, 0.1)[lane // 2 % 3],
        "blocks": [
            {"channels": 6, "pool": 2},
            {"channels": 4, "padding": "same", "bias": False, "dropout": 0.1 * (lane % 2), **own},
        ],
    }


def shoal_of(
    configs: Mapping[int, TrainConfig],
    data: Data | None = None,
    lanes: int = 0,
    device: torch.device = CPU,
) -> Shoal:
    """A shoal of some trainings, by lane, with room for ``lanes``; 0: for no more."""
    shoal = Shoal(next(iter(configs.values())), data or tiny_data(), device, lanes or len(configs))
    for lane, config in configs.items():
        shoal.admit(lane, config)
    return shoal


def alone(
    config: TrainConfig, epochs: int, data: Data | None = None, device: torch.device = CPU
) -> tuple[Training, Any]:
    """The same training by itself, and its reports."""
    training = Training(config, data or tiny_data(), device)
    return training, [next(training) for _ in range(epochs)]


def check_reports(
    ours: Sequence[EpochReport], theirs: Sequence[EpochReport], tolerance: float
) -> None:
    """Two trainings reported the same, but for rounding."""
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.epoch, one.is_last) == (other.epoch, other.is_last)
        assert list(one.metrics) == list(other.metrics)
        for name, value in other.metrics.items():
            expected = pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True)
            assert one.metrics[name] == expected, (name, one.epoch)
        assert [step for step, _ in one.steps] == [step for step, _ in other.steps]
        for (_, loss), (_, expected) in zip(one.steps, other.steps, strict=True):
            assert loss == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True)


def check_states(ours: Any, theirs: Any, tolerance: float, path: str = "state") -> None:
    """Two states are of the same form, and hold the same but for rounding."""
    if isinstance(theirs, torch.Tensor):
        assert ours.shape == theirs.shape, path
        assert ours.dtype == theirs.dtype, path
        torch.testing.assert_close(
            ours, theirs, rtol=tolerance, atol=tolerance, msg=lambda text: f"{path}: {text}"
        )
    elif isinstance(theirs, Mapping):
        assert list(ours) == list(theirs), path
        for key, held in theirs.items():
            check_states(ours[key], held, tolerance, f"{path}.{key}")
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), path
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            check_states(one, other, tolerance, f"{path}.{number}")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance, nan_ok=True), path
    else:
        assert ours == theirs, path


def more_settings(lane: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of ``model`` and ``train`` that other tests leave out."""
    train = {
        "batch_size": 5,
        "lr": (0.003, 0.01)[lane % 2],
        "accumulate": 2,
        "class_weights": ("none", "balanced", [1.0, 2.0, 0.5])[lane % 3],
        "label_smoothing": (0.0, 0.1)[lane // 2 % 2],
        "norm_penalty": (0.001, 0.0)[lane // 3 % 2],
        "clip_norm": (None, 0.5)[lane // 2 % 2],
        "crop": lane // 2 % 2,
        "flip": lane % 3 == 1,
        "cutout": lane % 4 // 3 * 2,
        "mixup": (0.0, 0.4)[lane // 3 % 2],
    }
    model = {"hidden": [6], "activation": "tanh", "dropconnect": 0.2 + 0.1 * (lane % 3)}
    return model, train


Configs = Mapping[int, TrainConfig]


def with_all_settings(family: str) -> Configs:
    """Lanes with accumulation, augmentation, class weights, penalties and clipping."""
    configs = {}
    for lane in range(4):
        model, train = more_settings(lane)
        configs[lane] = tiny_config(model={**model, "family": family}, train=train, seed=lane)
    return configs


KINDS = [
    pytest.param({lane: lane_config(lane, optimizer, family) for lane in range(8)}, id=name)
    for optimizer in ("adam", "sgd", "rmsprop")
    for family in ("mlp", "convnet")
    for name in [f"{family} {optimizer}"]
]
KINDS += [pytest.param(with_all_settings(kind), id=f"{kind} all") for kind in ("mlp", "convnet")]
KINDS += [pytest.param({n: in_bfloat16(lane_config(n)) for n in range(4)}, id="bfloat16")]
