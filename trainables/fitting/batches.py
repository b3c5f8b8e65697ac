"""The batches of an epoch: which samples they have, and what the model is given of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spaces.seeds import derive_seed
from spaces.settings.train import Train
from trainables.data.splits import DeviceSplit


@dataclass(frozen=True)
class Batch:
    """Inputs (samples, …) and their targets: classes (samples,), or values (samples, 1)."""

    inputs: torch.Tensor
    targets: torch.Tensor

    def __len__(self) -> int:
        return len(self.targets)


class Batches:
    """The training split in batches, whose order is a function of (seed, epoch).

    Args:
        split: the training split.
        settings: how it is trained.
        seed: the training's seed.
    """

    def __init__(self, split: DeviceSplit, settings: Train, seed: int) -> None:
        self._split = split
        self._settings = settings
        self._seed = seed

    def of_epoch(self, epoch: int) -> list[torch.Tensor]:
        """The rows of each batch of an epoch; a last batch of one sample is left out.

        (Batch norm cannot train on a single sample.)
        """
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch))
        order = torch.randperm(len(self._split), generator=generator).to(self._split.device)
        batches = list(torch.split(order, self._settings.batch_size))
        return batches[:-1] if 1 == len(batches[-1]) < len(batches[0]) else batches

    def prepare(self, rows: torch.Tensor) -> Batch:
        """A batch as the model is trained on it."""
        return Batch(*self._split.batch(rows))

    def probe(self, seed: int) -> Batch:
        """The samples of one batch, drawn by ``seed``, as they are in the data."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "probe"))
        order = torch.randperm(len(self._split), generator=generator)
        rows = order[: self._settings.batch_size].to(self._split.device)
        return Batch(*self._split.batch(rows))
