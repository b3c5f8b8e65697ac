"""``Batch``: what the model is given at once, and what it should answer."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Inputs (samples, …) and their targets: classes (samples,), or values (samples, targets).

    ``partners``: the classes (samples,) of the samples that were mixed in, where any were;
    ``share``: that of ``targets`` in the mixture, the partners have the rest.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    partners: torch.Tensor | None = None
    share: float = 1.0

    def take(self, rows: slice) -> Batch:
        """Some of its samples."""
        partners = None if self.partners is None else self.partners[rows]
        return Batch(self.inputs[rows], self.targets[rows], partners, self.share)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def dominant(self) -> torch.Tensor:
        """The classes with the larger share."""
        return self.targets if self.partners is None or self.share >= 0.5 else self.partners
