"""Where the numbers of a training stand in one row: its parameters, and what batch norm keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from trainables.shoal.layers.stages import Stage


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in a row: from ``start``, in its own shape.

    The weights of a linear layer stand as (inputs, outputs): so gradients come.
    """

    start: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """Behind its last number."""
        return self.start + math.prod(self.shape)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """The tensors of some rows, (rows, *shape), in the rows' memory."""
        return rows[:, self.start : self.end].view(len(rows), *self.shape)

    def in_model(self, row: torch.Tensor) -> torch.Tensor:
        """The tensor of one row, (1, numbers), as a PyTorch layer has it, in the row's memory."""
        held = self.of(row)[0]
        return held.T if held.ndim == 2 else held


class NormPlaces(NamedTuple):
    """Where the tensors of a norm stand.

    ``scale`` and ``shift``: in the row of parameters; ``mean`` and ``variance``, what batch norm
    keeps: in a row of their own.
    """

    scale: Place
    shift: Place
    mean: Place
    variance: Place


class Places(NamedTuple):
    """Where the tensors of a stage stand; there is room for a norm in each stage but the last.

    ``pixels``: of the images that its layer gives, 1 where there are none.
    """

    weight: Place
    bias: Place | None
    norm: NormPlaces | None
    pixels: int

    @property
    def parameters(self) -> list[Place]:
        """Those of parameters, in the order of a model."""
        learnt = [] if self.norm is None else [self.norm.scale, self.norm.shift]
        return [self.weight, *([] if self.bias is None else [self.bias]), *learnt]


class Layout:
    """The rows of all models that differ in norms, activations and dropout only.

    Args:
        model: any of them, on the CPU: on the meta device, PyTorch would import its compiler.
        input_shape: of one sample.
    """

    @torch.no_grad()
    def __init__(self, model: nn.Sequential, input_shape: tuple[int, ...]) -> None:
        self.parameters = 0  # in a row
        self.statistics = 0
        self.widest = math.prod(input_shape)  # numbers of a sample that a layer takes or gives
        self.stages: list[Places] = []
        values = torch.zeros(1, *input_shape)
        for layer in model.eval():
            values = layer(values)
            self.widest = max(self.widest, values.numel())
            if isinstance(layer, nn.Linear | nn.Conv2d):
                self.stages.append(self._places(layer, values[0, 0].numel(), layer is model[-1]))

    def _places(self, layer: nn.Linear | nn.Conv2d, pixels: int, is_last: bool) -> Places:
        width, *others = layer.weight.shape
        shape = (width, *others) if isinstance(layer, nn.Conv2d) else (*others, width)
        weight = self._parameter(*shape)
        bias = None if layer.bias is None else self._parameter(width)
        norm = None
        if not is_last:
            learnt = self._parameter(width), self._parameter(width)
            norm = NormPlaces(*learnt, self._statistic(width), self._statistic(width))
        return Places(weight, bias, norm, pixels)

    def _parameter(self, *shape: int) -> Place:
        place = Place(self.parameters, shape)
        self.parameters = place.end
        return place

    def _statistic(self, *shape: int) -> Place:
        place = Place(self.statistics, shape)
        self.statistics = place.end
        return place


@dataclass(frozen=True)
class Names:
    """What a model's ``state_dict`` calls the tensors of its row.

    ``parameters`` are in the order in which its optimizer has them; ``counts`` are batch norm's
    counters of batches.
    """

    parameters: dict[str, Place]
    statistics: dict[str, Place]
    counts: list[str]


def names_of(model: nn.Sequential, stages: Sequence[Stage], layout: Layout) -> Names:
    """Find the tensors of a model, which has these stages, in its row."""
    parameters: list[Place] = []
    statistics: list[Place] = []
    for stage, places in zip(stages, layout.stages, strict=True):
        is_plain = isinstance(stage.norm, nn.Identity)
        parameters += places._replace(norm=None).parameters if is_plain else places.parameters
        if places.norm is not None and stage.has_batch_norm:
            statistics += [places.norm.mean, places.norm.variance]
    buffers = [name for name, _ in model.named_buffers()]
    counts = [name for name in buffers if name.endswith("num_batches_tracked")]
    kept = [name for name in buffers if name not in counts]
    learnt = [name for name, _ in model.named_parameters()]
    return Names(
        dict(zip(learnt, parameters, strict=True)), dict(zip(kept, statistics, strict=True)), counts
    )
