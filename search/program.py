"""A trained model as a program of its own, which runs without this package: ``model.pt2``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from spaces.problems import InputError, RunError
from trainables.config import TrainConfig
from trainables.data import InputSpec, load_data
from trainables.models import empty_model

CHECKED = 64  # samples on which a program must answer as its model does
CLOSE = 1e-5


class WholeModel(nn.Module):
    """From inputs in [0, 1], as a picture has them, to probabilities (a regression: to values).

    Args:
        model: takes normalised inputs.
        inputs: says how they are normalised.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, inputs: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.is_classifier = bool(inputs.class_names)
        shape = (-1, *(1 for _ in inputs.shape[1:]))
        self.register_buffer("mean", torch.tensor(inputs.mean).reshape(shape))
        self.register_buffer("std", torch.tensor(inputs.std).reshape(shape))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.model((inputs - self.mean) / self.std)
        return outputs.softmax(dim=1) if self.is_classifier else outputs


def make_program(
    config: TrainConfig, inputs: InputSpec, weights: Mapping[str, torch.Tensor]
) -> bytes:
    """Export a trained model with ``torch.export``, for batches of any size, and check its answers.

    Args:
        config: how the model was trained.
        inputs: what it takes.
        weights: by name.

    Returns:
        What ``torch.export.load`` reads.

    Raises:
        InputError: when the weights are not those of this model.
        RunError: when the program answers otherwise than the model.
    """
    try:
        model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
        model.load_state_dict(dict(weights), assign=True)
    except (RuntimeError, ValueError) as error:
        raise InputError(f"these are not the model's weights: {error}") from None
    whole = WholeModel(model, inputs).eval().requires_grad_(requires_grad=False)
    samples = _samples(config, inputs)
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(whole, (samples[:2],), dynamic_shapes=(batch,))
    difference = (exported.module()(samples) - whole(samples)).abs().max().item()
    if not difference <= CLOSE:
        raise RunError(f"model.pt2 answers otherwise than the model, by up to {difference:g}")
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    return buffer.getvalue()


def _samples(config: TrainConfig, inputs: InputSpec) -> torch.Tensor:
    """Real validation samples where the data is there, made-up ones where it is not."""
    try:
        held = load_data(config.dataset, config.split_seed).validation.inputs[:CHECKED]
    except InputError:
        warnings.warn("the data is not here: model.pt2 is checked on noise", stacklevel=2)
        return torch.rand(CHECKED, *inputs.shape, generator=torch.Generator().manual_seed(0))
    unit = 255.0 if held.dtype == np.uint8 else 1.0
    samples = torch.from_numpy(held.astype(np.float32) / np.float32(unit))
    return samples.repeat(2, *(1 for _ in inputs.shape)) if len(samples) == 1 else samples
