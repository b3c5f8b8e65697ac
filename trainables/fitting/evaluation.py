"""How good a model is on a split of the data."""

from __future__ import annotations

import torch
from torch import nn

from trainables.data.splits import DeviceSplit
from trainables.fitting.batch import Batch
from trainables.fitting.loss import Loss
from trainables.fitting.parallel import WHOLE, Parts

_BATCH_SIZE = 4096


def score_names(classes: int) -> tuple[str, ...]:
    """What an evaluation measures: of a regression (no classes) the loss."""
    if not classes:
        return ("loss",)
    return ("loss", "accuracy", "f1", "auc") if classes == 2 else ("loss", "accuracy", "f1")


def evaluate(
    model: nn.Module, split: DeviceSplit, classes: int, parts: Parts = WHOLE
) -> dict[str, float]:
    """Score a model on a split, in float32.

    Args:
        model: on the split's device.
        split: with at least one sample.
        classes: how many there are, 0 for a regression.
        parts: the ranks that share the work.

    Returns:
        The metrics by the names of ``score_names``; see ``Scores.metrics``.
    """
    scores = Scores(classes, split.device)
    model.eval()
    with torch.inference_mode():
        starts = range(0, len(split), _BATCH_SIZE)
        for start in starts[parts.rows(len(starts))]:
            batch = Batch(*split.batch(slice(start, start + _BATCH_SIZE)))
            scores.add(model(batch.inputs), batch)
    scores.add_up(parts)
    return scores.metrics()


class Scores:
    """What an evaluation adds up, batch by batch, as tensors on the device.

    Args:
        classes: how many there are, 0 for a regression.
        device: where outputs and targets are.
    """

    def __init__(self, classes: int, device: torch.device) -> None:
        self._classes = classes
        self._loss = Loss(is_classification=classes > 0)
        self._divisor = torch.zeros((), dtype=torch.float64, device=device)
        self._total = torch.zeros((), dtype=torch.float64, device=device)
        # how many samples are, were taken for, and rightly taken for each class: (3, classes)
        self._counts = torch.zeros((3, classes), dtype=torch.int64, device=device)
        # of two classes, (samples,) of each batch:
        self._margins = [torch.zeros(0, device=device)]
        self._targets = [torch.zeros(0, dtype=torch.int64, device=device)]

    def add(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Take in the model's outputs for a batch: (samples, classes) or (samples, targets)."""
        self._total += self._loss.total(outputs, batch)
        self._divisor += self._loss.divisor(batch)
        if not self._classes:
            return
        taken, ones = outputs.argmax(1), torch.ones_like(batch.targets)
        self._counts[0].index_add_(0, batch.targets, ones)
        self._counts[1].index_add_(0, taken, ones)
        self._counts[2].index_add_(0, taken, (taken == batch.targets).to(torch.int64))
        if self._classes == 2:
            self._margins.append(outputs[:, 1] - outputs[:, 0])
            self._targets.append(batch.targets)

    def add_up(self, parts: Parts) -> None:
        """Take in what the other ranks have."""
        parts.add_up(self._divisor, self._total, self._counts)
        if self._classes == 2:
            self._margins = [parts.gather(torch.cat(self._margins))]
            self._targets = [parts.gather(torch.cat(self._targets))]

    def metrics(self) -> dict[str, float]:
        """The metrics by name, over all that was added.

        loss: mean cross-entropy, without smoothing or weights, or mean squared error. f1: the mean
        over the classes, one that is neither there nor taken for counts as 0. auc: of two classes,
        left out where one of them is not there.
        """
        loss = self._total.item() / self._divisor.item()
        if not self._classes:
            return {"loss": loss}
        counts = self._counts.cpu()
        metrics = {
            "loss": loss,
            "accuracy": counts[2].sum().item() / counts[0].sum().item(),
            "f1": macro_f1(*counts),
        }
        if self._classes == 2 and counts[0].all():
            metrics["auc"] = area_under_curve(torch.cat(self._margins), torch.cat(self._targets))
        return metrics


def macro_f1(actual: torch.Tensor, taken: torch.Tensor, right: torch.Tensor) -> float:
    """The mean over the classes of 2 TP / (2 TP + FP + FN); 0 where that is 0 / 0.

    Args:
        actual: (classes,), how many samples each has.
        taken: how many were taken for it.
        right: how many of these rightly.
    """
    return (2.0 * right.double() / (actual + taken).clamp(min=1)).mean().item()


def area_under_curve(margins: torch.Tensor, targets: torch.Tensor) -> float:
    """The area under the ROC curve, as the share of pairs that are in order; a tie counts half.

    (The statistic of Mann & Whitney, 1947.)

    Args:
        margins: (samples,), larger where class 1 is likelier.
        targets: (samples,), 0 or 1, both of them there.
    """
    positive, negative = margins[targets == 1], margins[targets == 0].sort().values
    below = torch.searchsorted(negative, positive)
    not_above = torch.searchsorted(negative, positive, right=True)
    pairs = len(positive) * len(negative)
    return (below + not_above).sum().item() / (2 * pairs)
