"""Data-parallel training: each rank has its part of every batch, and all have the same weights.

The result is that of one process, but for rounding: gradients are averaged by PyTorch's
DistributedDataParallel, and batch norm sees the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from trainables.fitting.batch import Batch
from trainables.ranks import ALONE, Rank


class Parts:
    """What this rank does of a training, and sums over all ranks.

    Args:
        rank: of this process; where there are others, all are in a process group.
    """

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self.count = rank.world_size

    def rows(self, samples: int) -> slice:
        """Which samples of a batch are this rank's; none where there are fewer than ranks."""
        return slice(self._rank.number, samples, self.count)

    def place(self, samples: int) -> tuple[int, slice] | None:
        """The samples of a batch, and which are this rank's; None: all of them."""
        return None if self.count == 1 else (samples, self.rows(samples))

    def of(self, batch: Batch) -> Batch:
        """This rank's part of a batch."""
        return batch if self.count == 1 else batch.take(self.rows(len(batch)))

    def add_up(self, *tensors: torch.Tensor) -> None:
        """Let each tensor be the sum over all ranks."""
        if self.count > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensors of all ranks, one after the other, (samples,) each."""
        if self.count == 1:
            return tensor
        held: list[Any] = [None] * self.count
        distributed.all_gather_object(held, tensor.cpu())
        return torch.cat(held).to(tensor.device)

    def forward(self, model: nn.Sequential) -> Callable[[torch.Tensor], torch.Tensor]:
        """The model as it is trained, which averages its gradients over the ranks.

        Its batch norm layers are changed in place.
        """
        if self.count == 1:
            return model
        for place, layer in enumerate(model):
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                model[place] = WholeBatchNorm(layer)
        return DistributedDataParallel(model)


WHOLE = Parts(ALONE)


class _SumOverRanks(torch.autograd.Function):
    """The sum over all ranks, whose gradient is the sum of those that the ranks have of it."""

    @staticmethod
    def forward(context: Any, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _sum_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _SumOverRanks.apply(tensor)
    return total


class WholeBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the parts of a batch on all ranks, on a CPU, too; else as PyTorch's.

    Args:
        layer: whose place it takes, with its parameters and buffers.
    """

    def __init__(self, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.weight, self.bias = layer.weight, layer.bias
        self.running_mean, self.running_var = layer.running_mean, layer.running_var
        self.num_batches_tracked = layer.num_batches_tracked

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Normalise inputs of shape (samples, channels, …)."""
        if not self.training:
            return super().forward(inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            return self._normalised(inputs.float()).to(inputs.dtype)

    def _normalised(self, inputs: torch.Tensor) -> torch.Tensor:
        """The inputs by mean and deviation of the whole batch, which are noted."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        axes = (0, *range(2, inputs.ndim))
        shape = (1, -1, *(1 for _ in inputs.shape[2:]))
        count = torch.tensor(inputs.numel() / self.num_features, device=inputs.device)
        distributed.all_reduce(count)
        mean = _sum_over_ranks(inputs.sum(axes)) / count  # (channels,)
        centred = inputs - mean.reshape(shape)
        variance = _sum_over_ranks(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * count / (count - 1).clamp(min=1.0)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        outputs: torch.Tensor = centred * scale.reshape(shape) + self.bias.reshape(shape)
        return outputs

    def _check_input_dim(self, inputs: torch.Tensor) -> None:
        """Any number of dimensions."""
