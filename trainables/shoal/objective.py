"""What the lanes of a shoal minimise, each by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.train import Train
from trainables.fitting.batch import Batch


class Objective:
    """Losses, penalties and limits of all lanes.

    Args:
        settings: of each lane.
        weights: of the classes, (classes,), of each lane; None where all weigh the same.
        like: a tensor of the type, and on the device, of the weights.
    """

    def __init__(
        self,
        settings: Sequence[Train],
        weights: Sequence[torch.Tensor | None],
        like: torch.Tensor,
    ) -> None:
        smoothing = [each.label_smoothing for each in settings]
        self._smoothing = like.new_tensor(smoothing) if any(smoothing) else None
        penalties = [each.norm_penalty for each in settings]
        self._penalties = like.new_tensor(penalties) if any(penalties) else None
        limits = [each.clip_norm or math.inf for each in settings]
        self._limits = like.new_tensor(limits) if min(limits) < math.inf else None
        self._weights = None
        known = [each.to(like.dtype) for each in weights if each is not None]
        if known:
            same = torch.ones_like(known[0])
            self._weights = torch.stack([same if each is None else each for each in weights])

    @property
    def clips(self) -> bool:
        """Whether any lane's gradients are clipped."""
        return self._limits is not None

    def totals(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The sum of each lane's losses over its samples, (lanes,); see ``Loss.total``.

        Args:
            outputs: (lanes, samples, classes) or (lanes, samples, targets).
            batch: what was given.
        """
        if batch.targets.is_floating_point():
            return (outputs - batch.targets).square().flatten(1).sum(1)
        logs = F.log_softmax(outputs, dim=2)
        if self._weights is not None:
            logs = logs * self._weights[:, None]  # so each class counts as much as it weighs
        picked = batch.mixed(lambda classes: -logs.gather(2, classes[..., None]).squeeze(2).sum(1))
        if self._smoothing is None:
            return picked
        return torch.lerp(picked, -logs.mean(2).sum(1), self._smoothing)

    def divisors(self, batch: Batch) -> torch.Tensor | int:
        """What the sums of a batch are divided by, see ``Loss.divisor``."""
        targets = batch.targets
        if targets.is_floating_point() or self._weights is None:
            return targets[0].numel()
        weights = self._weights
        return batch.mixed(lambda classes: weights.gather(1, classes).sum(1))

    def minimised(self, losses: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
        """The sum over the lanes of what each minimises.

        Args:
            losses: of each lane.
            parameters: the tensors of a training, each (lanes, …), that are penalised.
        """
        if self._penalties is None or not parameters:
            return losses.sum()
        norms = [torch.linalg.vector_norm(held.flatten(1), dim=1) for held in parameters]
        return (losses + self._penalties * torch.stack(norms).sum(0)).sum()

    def clip(self, gradients: torch.Tensor) -> torch.Tensor:
        """Clip gradients (lanes, parameters) in place; returns their norms before, (lanes,)."""
        norms: torch.Tensor = torch.linalg.vector_norm(gradients, dim=1)
        if self._limits is not None:
            shares = (self._limits / (norms + 1e-6)).clamp(max=1.0)  # as clip_grad_norm_ has it
            gradients.mul_(shares[:, None])
        return norms
