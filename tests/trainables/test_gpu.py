"""Checks that need a GPU: ``pytest -m gpu``."""

from __future__ import annotations

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
