"""The global generators of random numbers, which the user's code may draw from."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import numpy as np
import torch


class RandomState(NamedTuple):
    """How the global generators stand, those of GPUs aside."""

    python: Any
    numpy: Any
    torch: torch.Tensor


def random_state() -> RandomState:
    """How the global generators stand now."""
    return RandomState(random.getstate(), np.random.get_state(), torch.get_rng_state())


def set_random_state(state: RandomState) -> None:
    """Let the global generators go on from there."""
    random.setstate(state.python)
    np.random.set_state(state.numpy)
    torch.set_rng_state(state.torch)


def seed_everything(seed: int) -> None:
    """Start the global generators afresh, as a process does."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
