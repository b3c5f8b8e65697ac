"""The precision in which training steps are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from spaces.settings.train import Train


def in_precision(settings: Train, device: torch.device) -> AbstractContextManager[object]:
    """A context for a model's forward pass; weights and what they are changed by stay as they are.

    Args:
        settings: with ``precision``.
        device: of the model.
    """
    if settings.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
