"""What a training minimises."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.train import Train
from trainables.fitting.batch import Batch


class Loss:
    """Cross-entropy on logits, or mean squared error: a sum over samples, and its divisor.

    The two are apart so that a batch may be handled in pieces: the sums of the pieces add up, and
    the divisor is that of the whole. With class weights a sample counts as much as its class
    weighs, in the divisor, too.

    Args:
        is_classification: whether targets are classes.
        label_smoothing: the share of the target that is spread evenly over all classes.
        class_weights: (classes,), on the device; None: all classes weigh the same.
    """

    def __init__(
        self,
        is_classification: bool,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> None:
        self._is_classification = is_classification
        self._smoothing = label_smoothing
        self._weights = class_weights

    def total(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The sum over the samples (and, for a regression, their targets).

        Args:
            outputs: of the model, (samples, classes) or (samples, targets).
            batch: what it was given.
        """
        if not self._is_classification:
            return F.mse_loss(outputs, batch.targets, reduction="sum")
        return batch.mixed(
            lambda classes: F.cross_entropy(
                outputs, classes, self._weights, label_smoothing=self._smoothing, reduction="sum"
            )
        )

    def divisor(self, batch: Batch) -> float | torch.Tensor:
        """What the sum over a batch is divided by to give its loss."""
        if not self._is_classification:
            return batch.targets.numel()
        if self._weights is None:
            return len(batch)
        weights = self._weights
        return batch.mixed(lambda classes: weights[classes].sum())

    def mean(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss of a batch."""
        return self.total(outputs, batch) / self.divisor(batch)


def training_loss(settings: Train, targets: torch.Tensor, outputs: int) -> Loss:
    """The loss that the settings ask for.

    Args:
        settings: with ``label_smoothing`` and ``class_weights``.
        targets: of the training split, classes or values, on the device.
        outputs: the number of classes, or of values.
    """
    if targets.is_floating_point():
        return Loss(is_classification=False)
    return Loss(True, settings.label_smoothing, class_weights(settings, targets, outputs))


def class_weights(settings: Train, targets: torch.Tensor, classes: int) -> torch.Tensor | None:
    """What each class weighs, (classes,); None: all the same.

    Args:
        settings: with ``class_weights``.
        targets: classes of the training split.
        classes: how many there are.
    """
    if settings.class_weights == "none":
        return None
    if settings.class_weights == "balanced":
        counts = torch.bincount(targets, minlength=classes).clamp(min=1)
        return len(targets) / (classes * counts.to(torch.get_default_dtype()))
    return torch.tensor(settings.class_weights, device=targets.device)


def norm_penalty(factor: float, parameters: Iterable[torch.Tensor]) -> torch.Tensor | float:
    """``factor`` times the sum of the 2-norms of some tensors."""
    if factor == 0.0:
        return 0.0
    norms = [torch.linalg.vector_norm(tensor) for tensor in parameters]
    return factor * torch.stack(norms).sum()
