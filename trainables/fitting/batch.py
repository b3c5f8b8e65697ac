"""``Batch``: what the model is given at once, and what it should answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Inputs (samples, …) and their targets: classes (samples,), or values (samples, targets).

    ``partners``: the classes (samples,) of the samples that were mixed in, where any were;
    ``share``: that of ``targets`` in the mixture, (), the partners have the rest.

    Of several trainings at once, each tensor has one more dimension in front: (trainings, …).
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    partners: torch.Tensor | None = None
    share: torch.Tensor | None = None

    def stacked(self) -> Batch:
        """The batch of one training as that of several, of which there is one."""
        return self._each(lambda held: held[None])

    def of_training(self, number: int) -> Batch:
        """That of one of several trainings."""
        return self._each(lambda held: held[number])

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        partners = None if self.partners is None else change(self.partners)
        share = None if self.share is None else change(self.share)
        return Batch(change(self.inputs), change(self.targets), partners, share)

    def take(self, rows: slice) -> Batch:
        """Some samples of one training's."""
        partners = None if self.partners is None else self.partners[rows]
        return Batch(self.inputs[rows], self.targets[rows], partners, self.share)

    def __len__(self) -> int:
        """The samples of one training's."""
        return len(self.targets)

    def mixed(self, of_classes: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What is found of the targets, mixed with what is found of the partners."""
        found = of_classes(self.targets)
        if self.partners is None or self.share is None:
            return found
        return torch.lerp(of_classes(self.partners), found, self.share)

    @property
    def dominant(self) -> torch.Tensor:
        """The classes with the larger share."""
        if self.partners is None or self.share is None:
            return self.targets
        return torch.where(self.share[..., None] >= 0.5, self.targets, self.partners)
