"""How good a model is on a split of the data."""

from __future__ import annotations

import torch
from torch import nn

from trainables.data.splits import DeviceSplit
from trainables.fitting.batches import Batch
from trainables.fitting.loss import Loss

_BATCH_SIZE = 4096


def evaluate(model: nn.Module, split: DeviceSplit, is_classification: bool) -> dict[str, float]:
    """Mean loss, and accuracy for classification, of a model on a split."""
    scores = Scores(is_classification, split.device)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(split), _BATCH_SIZE):
            batch = Batch(*split.batch(slice(start, start + _BATCH_SIZE)))
            scores.add(model(batch.inputs), batch)
    return scores.metrics()


class Scores:
    """Sums over samples, batch by batch; those of several parts of a split can be added up.

    Args:
        is_classification: whether targets are classes.
        device: where outputs and targets are.
    """

    def __init__(self, is_classification: bool, device: torch.device) -> None:
        self._is_classification = is_classification
        self._loss = Loss(is_classification)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.hits = torch.zeros((), dtype=torch.int64, device=device)
        self.divisor = 0

    def add(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Take in the model's outputs for a batch."""
        self.loss += self._loss.total(outputs, batch)
        self.divisor += self._loss.divisor(batch)
        if self._is_classification:
            self.hits += (outputs.argmax(1) == batch.targets).sum()

    def metrics(self) -> dict[str, float]:
        """The metrics by name, over all that was added."""
        loss = {"loss": self.loss.item() / self.divisor}
        if not self._is_classification:
            return loss
        return {**loss, "accuracy": self.hits.item() / self.divisor}
