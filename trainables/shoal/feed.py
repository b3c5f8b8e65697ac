"""A split of the data as a shoal reads it: each lane its own samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainables.data.splits import Data, DeviceSplit, to_device
from trainables.fitting.batch import Batch

_MOST_BYTES = 2**29  # of normalised inputs that are held


class Feed:
    """A split whose inputs are normalised once, where that takes no more than 512 MiB.

    Args:
        split: on the device.
    """

    def __init__(self, split: DeviceSplit) -> None:
        self.split = split
        self._inputs: torch.Tensor | None = None
        if split.inputs.numel() * split.scale.element_size() <= _MOST_BYTES:
            self._inputs = split.batch(slice(None))[0]

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, rows: torch.Tensor) -> Batch:
        """Each lane its own rows of the split, as they are in the data.

        Args:
            rows: (lanes, samples).
        """
        flat = rows.flatten()
        if self._inputs is None:
            inputs, targets = self.split.batch(flat)
        else:
            inputs = self._inputs.index_select(0, flat)
            targets = self.split.targets.index_select(0, flat)
        inputs = inputs.view(*rows.shape, *inputs.shape[1:])
        return Batch(inputs, targets.view(*rows.shape, *targets.shape[1:]))

    def shared(self, rows: slice) -> torch.Tensor:
        """Inputs (samples, …) that all lanes see."""
        if self._inputs is None:
            return self.split.batch(rows)[0]
        return self._inputs[rows]


@dataclass(frozen=True)
class Feeds:
    """The splits that a shoal needs; all shoals of a process share them."""

    train: Feed
    validation: Feed

    @classmethod
    def of(cls, data: Data, device: torch.device) -> Feeds:
        """Move them to a device."""
        splits = (data.train, data.validation)
        return cls(*(Feed(to_device(split, data, device)) for split in splits))
