"""What the lanes of a shoal minimise, each by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.train import Train


class Objective:
    """Losses, penalties and limits of all lanes.

    Args:
        settings: of each lane.
        like: a tensor of the type, and on the device, of the weights.
    """

    def __init__(self, settings: Sequence[Train], like: torch.Tensor) -> None:
        smoothing = [each.label_smoothing for each in settings]
        self._smoothing = like.new_tensor(smoothing) if any(smoothing) else None
        penalties = [each.norm_penalty for each in settings]
        self._penalties = like.new_tensor(penalties) if any(penalties) else None
        limits = [each.clip_norm or math.inf for each in settings]
        self._limits = like.new_tensor(limits) if min(limits) < math.inf else None

    @property
    def clips(self) -> bool:
        """Whether any lane's gradients are clipped."""
        return self._limits is not None

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of each lane, (lanes,).

        Args:
            outputs: (lanes, samples, classes) or (lanes, samples, targets).
            targets: classes (lanes, samples), or values of the shape of ``outputs``.
        """
        if targets.is_floating_point():
            return (outputs - targets).square().flatten(1).mean(1)
        logs = F.log_softmax(outputs, dim=2)
        picked = F.nll_loss(logs.flatten(0, 1), targets.flatten(), reduction="none")
        losses = picked.view(targets.shape).mean(1)
        if self._smoothing is None:
            return losses
        return torch.lerp(losses, -logs.mean((1, 2)), self._smoothing)

    def minimised(self, losses: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
        """The sum over the lanes of what each minimises.

        Args:
            losses: of each lane.
            parameters: the tensors of a training, each (lanes, …).
        """
        if self._penalties is None:
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
