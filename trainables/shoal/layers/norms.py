"""The norm layers of one stage of all lanes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from trainables.shoal.layers.runs import Runs

_EPS, _MOMENTUM = 1e-5, 0.1  # PyTorch's own


class Norms:
    """Norm layers, which learn a scale and a shift for each feature, or channel of an image.

    Args:
        layers: of each lane; those of lanes that have none change nothing.
        axis: of the values that counts the lanes.
        learnt: scale and shift, (lanes, features) each.
        kept: mean and variance by which batch norm evaluates, (lanes, features) each; they are
            changed in place.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        axis: int,
        learnt: tuple[torch.Tensor, torch.Tensor],
        kept: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        self._runs = Runs(layers, axis)
        self._learnt = learnt
        self._kept = kept

    def forward(self, values: torch.Tensor, is_training: bool) -> torch.Tensor:
        """Normalise (lanes, samples, features), or (samples, lanes, channels, height, width)."""

        def norm(layer: nn.Module, part: torch.Tensor, lanes: slice) -> torch.Tensor:
            if isinstance(layer, nn.Identity):
                return part
            scale, shift = (tensor[lanes] for tensor in self._learnt)
            mean, variance = (tensor[lanes] for tensor in self._kept)
            if isinstance(layer, nn.BatchNorm2d):
                return _batch_norm_2d(part, scale, shift, mean, variance, is_training)
            wide = part.to(scale.dtype)  # under autocast too, as in PyTorch's own layers
            if isinstance(layer, nn.BatchNorm1d):
                normed = _batch_norm(wide, mean, variance, is_training)
            else:
                groups = layer.num_groups if isinstance(layer, nn.GroupNorm) else 1
                normed = _group_norm(wide, groups)
            found = torch.addcmul(_beside(shift, part), normed, _beside(scale, part))
            return found if _stays_wide(layer, part.device) else found.to(part.dtype)

        return self._runs.map(values, norm)


def _stays_wide(layer: nn.Module, device: torch.device) -> bool:
    """Whether a layer gives float32 under autocast: layer and group norm do so on a GPU.

    (Lanes without a norm that stand beside such ones go on in float32, too, until the next layer.)
    """
    return device.type != "cpu" and not isinstance(layer, nn.BatchNorm1d)


def _beside(tensor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A number for each lane and feature, (lanes, features), of a shape to go with values."""
    return tensor[:, None] if values.ndim == 3 else tensor[:, :, None, None]


def _group_norm(values: torch.Tensor, groups: int) -> torch.Tensor:
    """Normalise the features of each sample in so many groups; layer norm has one."""
    grouped = values.reshape(*values.shape[:2], groups, -1)
    return F.layer_norm(grouped, grouped.shape[3:], eps=_EPS).view(values.shape)


def _batch_norm_2d(
    values: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor,
    kept_mean: torch.Tensor,
    kept_variance: torch.Tensor,
    is_training: bool,
) -> torch.Tensor:
    """PyTorch's own, for which the channels of all lanes are those of one layer."""
    mean, variance = kept_mean.clone().flatten(), kept_variance.clone().flatten()
    normed = F.batch_norm(
        values.flatten(1, 2).contiguous(),
        mean,
        variance,
        scale.flatten(),
        shift.flatten(),
        is_training,
        _MOMENTUM,
        _EPS,
    )
    kept_mean.copy_(mean.view_as(kept_mean))
    kept_variance.copy_(variance.view_as(kept_variance))
    return normed.view(values.shape)


def _batch_norm(
    values: torch.Tensor, kept_mean: torch.Tensor, kept_variance: torch.Tensor, is_training: bool
) -> torch.Tensor:
    """Normalise (lanes, samples, features) by mean and variance of each feature."""
    if not is_training:
        spread = torch.rsqrt(kept_variance + _EPS)[:, None]
        return (values - kept_mean[:, None]) * spread
    normed, mean, variance = cast(Normalised, _BatchNorm.apply(values))
    samples = values.shape[1]
    kept_mean.lerp_(mean, _MOMENTUM)
    kept_variance.lerp_(variance * (samples / (samples - 1)), _MOMENTUM)
    return normed


Normalised: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class _BatchNorm(torch.autograd.Function):
    """Normalise each feature of each lane over its samples.

    (PyTorch's own takes the lanes' features for those of one layer only where they stand side by
    side, and its backward pass is slow with gradients that do not.)
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> Normalised:
        """Takes (lanes, samples, features); returns it normalised, with mean and variance."""
        mean = values.mean(1)
        centred = values - mean[:, None]
        variance = centred.square().mean(1)
        spread = torch.rsqrt(variance + _EPS)[:, None]
        normed = centred.mul_(spread)
        ctx.save_for_backward(normed, spread)
        ctx.mark_non_differentiable(mean, variance)
        return normed, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The gradient of the values."""
        normed, spread = ctx.saved_tensors
        along = (gradient * normed).mean(1, keepdim=True)
        centred = gradient - gradient.mean(1, keepdim=True)
        changed: torch.Tensor = centred.addcmul_(normed, along, value=-1.0).mul_(spread)
        return changed
