"""The global generators of random numbers, which the user's code may draw from."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch


class RandomState(NamedTuple):
    """How the global generators stand; ``gpu``: that of the training's own, None on a CPU."""

    python: Any
    numpy: Any
    torch: torch.Tensor
    gpu: torch.Tensor | None = None


def random_state(device: torch.device) -> RandomState:
    """How the global generators stand now, with that of the device that is trained on."""
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return RandomState(random.getstate(), np.random.get_state(), torch.get_rng_state(), gpu)


def set_random_state(state: RandomState, device: torch.device) -> None:
    """Let the global generators go on from there; a GPU's only if the state has it."""
    random.setstate(state.python)
    np.random.set_state(state.numpy)
    torch.set_rng_state(state.torch)
    if state.gpu is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state.gpu, device)


def seed_everything(seed: int) -> None:
    """Start the global generators afresh, as a process does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
