"""The batches of an epoch: which samples they have, and what the model is given of them."""

from __future__ import annotations

import torch

from spaces.seeds import derive_seed
from spaces.settings.train import FOR_IMAGES, Train
from trainables.data.splits import DeviceSplit
from trainables.fitting.augmentation import Augmentation
from trainables.fitting.batch import Batch
from trainables.models.noise import BLOCK, Steps


class Batches:
    """The training split in batches: their order is a function of (seed, epoch).

    How their samples are changed is one of (seed, number), with batches numbered from 0 over the
    whole training.

    Args:
        split: the training split.
        settings: how it is trained.
        seed: the training's seed.
    """

    def __init__(self, split: DeviceSplit, settings: Train, seed: int) -> None:
        self._split = split
        self._settings = settings
        self._seed = seed
        self._changes_samples = bool(settings.changed & {*FOR_IMAGES, "mixup"})
        self._augmentation: Augmentation | None = None  # of a block of steps
        self._block = 0

    def of_epoch(self, epoch: int) -> list[torch.Tensor]:
        """The rows of each batch of an epoch; a last batch of one sample is left out.

        (Batch norm cannot train on a single sample.)
        """
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "order", epoch))
        order = torch.randperm(len(self._split), generator=generator).to(self._split.device)
        batches = list(torch.split(order, self._settings.batch_size))
        return batches[:-1] if 1 == len(batches[-1]) < len(batches[0]) else batches

    def prepare(self, rows: torch.Tensor, number: int) -> Batch:
        """A batch as the model is trained on it.

        Args:
            rows: of the training split.
            number: of the batch.
        """
        batch = self.plain(rows)
        if not self._changes_samples:
            return batch
        block, step = divmod(number, BLOCK)
        if self._augmentation is None or block != self._block:
            steps, shape = Steps([self._seed], [block * BLOCK], BLOCK), batch.inputs.shape[1:]
            self._augmentation = Augmentation([self._settings], steps, shape, batch.inputs)
            self._block = block
        return self._augmentation.apply(batch.stacked(), step).of_training(0)

    def plain(self, rows: torch.Tensor) -> Batch:
        """A batch as it is in the data."""
        return Batch(*self._split.batch(rows))

    def probe(self, seed: int) -> Batch:
        """The samples of one batch, drawn by ``seed``, as they are in the data."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "probe"))
        order = torch.randperm(len(self._split), generator=generator)
        return self.plain(order[: self._settings.batch_size].to(self._split.device))
