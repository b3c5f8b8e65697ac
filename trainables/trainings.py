"""The training that a configuration asks for: a built-in model's, or one of the user's own code."""

from __future__ import annotations

from typing import TypeAlias

import torch

from spaces.training_config import AnyConfig, CodeConfig
from trainables.data.splits import Data
from trainables.ranks import ALONE, Rank
from trainables.training import Training
from trainables.user_code.files import OwnFolder
from trainables.user_code.training import CodeTraining

AnyTraining: TypeAlias = Training | CodeTraining


def make_training(
    config: AnyConfig,
    data: Data | None,
    device: torch.device,
    gpu_ids: tuple[str, ...] = (),
    trial: int = 0,
    folder: OwnFolder | None = None,
    rank: Rank = ALONE,
) -> AnyTraining:
    """The training that a configuration asks for.

    Args:
        config: its settings.
        data: None for the user's own code.
        device: where to train.
        gpu_ids: the GPUs that Ray gave it, for the user's own code; as are the following.
        trial: its number.
        folder: for files of its own.
        rank: which of the processes that train it together this is.

    Raises:
        ValueError: when a built-in model does not fit the data.
    """
    if isinstance(config, CodeConfig):
        return CodeTraining(config, device, gpu_ids, trial, folder, rank)
    assert data is not None
    return Training(config, data, device, rank)
