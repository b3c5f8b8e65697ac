"""What a training minimises."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812

from trainables.fitting.batches import Batch


class Loss:
    """Cross-entropy on logits, or mean squared error: a sum over samples, and its divisor.

    The two are apart so that a batch may be handled in pieces: the sums of the pieces add up, and
    the divisor is that of the whole.

    Args:
        is_classification: whether targets are classes.
    """

    def __init__(self, is_classification: bool) -> None:
        self._is_classification = is_classification

    def total(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The sum over the samples (and, for a regression, their targets).

        Args:
            outputs: of the model, (samples, classes) or (samples, targets).
            batch: what it was given.
        """
        if self._is_classification:
            return F.cross_entropy(outputs, batch.targets, reduction="sum")
        return F.mse_loss(outputs, batch.targets, reduction="sum")

    def divisor(self, batch: Batch) -> int:
        """What the sum over a batch is divided by to give its loss."""
        return len(batch) if self._is_classification else batch.targets.numel()

    def mean(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss of a batch."""
        return self.total(outputs, batch) / self.divisor(batch)


def norm_penalty(factor: float, parameters: Iterable[torch.Tensor]) -> torch.Tensor | float:
    """``factor`` times the sum of the 2-norms of some tensors."""
    if factor == 0.0:
        return 0.0
    norms = [torch.linalg.vector_norm(tensor) for tensor in parameters]
    return factor * torch.stack(norms).sum()
