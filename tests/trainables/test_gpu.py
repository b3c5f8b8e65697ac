"""Checks that need a GPU: ``pytest -m gpu``."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.tiny_training import CPU, MODELS, tiny_config, tiny_data
from trainables.training import Training

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]


@pytest.mark.parametrize("model", MODELS)
def test_training_on_a_gpu_starts_from_the_same_weights_and_learns(model: str) -> None:
    config = tiny_config(model=MODELS[model])
    cpu, gpu = (Training(config, tiny_data(), device) for device in (CPU, torch.device("cuda")))
    for name, weight in cpu.weights().items():
        assert torch.equal(weight, gpu.weights()[name])
    losses = [report.metrics["train_loss"] for report in gpu]
    assert losses[-1] < losses[0]


SETTINGS: dict[str, dict[str, Any]] = {
    "augmentation": {"crop": 1, "flip": True, "cutout": 2, "mixup": 0.4},
    "loss": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "accumulate": {"accumulate": 2},
    "bfloat16": {"precision": "bfloat16"},
    "compile": {"compile": True},
    "compiled bfloat16": {"compile": True, "precision": "bfloat16"},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("model", MODELS)
def test_each_setting_trains_on_a_gpu_and_again_to_the_same_losses(
    model: str, setting: str
) -> None:
    train = {"batch_size": 8, "lr": 0.02, **SETTINGS[setting]}
    config = tiny_config(model=MODELS[model], train=train)
    gpu = torch.device("cuda")
    first, again = (
        [report.metrics["train_loss"] for report in Training(config, tiny_data(), gpu)]
        for _ in range(2)
    )
    assert first == pytest.approx(again, rel=1e-3)
    assert first[-1] < 1.5
