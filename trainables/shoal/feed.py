"""A split of the data as a shoal reads it: each lane its own samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from trainables.data.splits import Data, DeviceSplit, to_device
from trainables.fitting.batch import Batch

_MOST_BYTES = 2**29  # of normalised inputs that are held


@dataclass(frozen=True)
class LaneBatch:
    """What all lanes are given at once: a ``Batch`` of each.

    ``inputs``: (lanes, samples, …); ``targets``: classes (lanes, samples), or values (lanes,
    samples, targets); ``partners``: the classes that were mixed in, where any were; ``shares``: of
    the targets in each lane's mixture, (lanes,).
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    partners: torch.Tensor | None = None
    shares: torch.Tensor | None = None

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> LaneBatch:
        """The batches of all lanes, of one size."""
        inputs = torch.stack([batch.inputs for batch in batches])
        targets = torch.stack([batch.targets for batch in batches])
        if all(batch.partners is None for batch in batches):
            return cls(inputs, targets)
        partners = [b.targets if b.partners is None else b.partners for b in batches]
        shares = inputs.new_tensor([batch.share for batch in batches])
        return cls(inputs, targets, torch.stack(partners), shares)

    def mixed(self, of_classes: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What is found of the targets, mixed with what is found of the partners: (lanes,)."""
        found = of_classes(self.targets)
        if self.partners is None or self.shares is None:
            return found
        return torch.lerp(of_classes(self.partners), found, self.shares)

    @property
    def dominant(self) -> torch.Tensor:
        """The classes with the larger share, (lanes, samples)."""
        if self.partners is None or self.shares is None:
            return self.targets
        return torch.where(self.shares[:, None] >= 0.5, self.targets, self.partners)


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

    def batch(self, rows: torch.Tensor) -> LaneBatch:
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
        return LaneBatch(inputs, targets.view(*rows.shape, *targets.shape[1:]))

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
