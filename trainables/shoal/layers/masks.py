"""The masks of a shoal: what dropout and dropconnect leave, each lane by its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainables.models.layers import DropConnect, Dropout
from trainables.models.noise import Step, Steps, at_step, masks, threshold


class Masks:
    """Those of one layer, in an epoch.

    Args:
        layers: of each lane; None where a lane has none, and keeps everything.
        steps: of the epoch.
        like: a tensor of the type, and on the device, of what is masked.
    """

    def __init__(
        self, layers: Sequence[Dropout | DropConnect | None], steps: Steps, like: torch.Tensor
    ) -> None:
        rates = [0.0 if layer is None else layer.rate for layer in layers]
        numbers = [0 if layer is None else layer.layer for layer in layers]
        device = like.device
        self._keys = steps.keys(numbers, device)  # (batches, lanes)
        thresholds = [threshold(rate) for rate in rates]
        self._thresholds = torch.tensor(thresholds, dtype=torch.int32, device=device)
        self._scales = like.new_tensor([1.0 / (1.0 - rate) for rate in rates])

    def at(self, batch: Step, shape: Sequence[int]) -> torch.Tensor:
        """The masks of a batch of the epoch, from 0: (lanes, *shape)."""
        return masks(at_step(self._keys, batch), self._thresholds, self._scales, shape)
