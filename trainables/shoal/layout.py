"""Where the numbers of a training stand in one row: its parameters, and what batch norm keeps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from trainables.models.layers import Dropout

_NORMS = (nn.BatchNorm1d, nn.LayerNorm, nn.GroupNorm)


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


@dataclass(frozen=True)
class Layer:
    """A linear layer and the norm behind it, which the output layer has not.

    ``scale`` and ``shift`` are the norm's, in the row of parameters; ``mean`` and ``variance`` what
    batch norm keeps, in a row of their own.
    """

    weight: Place
    bias: Place
    scale: Place | None = None
    shift: Place | None = None
    mean: Place | None = None
    variance: Place | None = None


class Layout:
    """The rows of all multilayer perceptrons of some widths, whichever their norms are.

    Args:
        widths: of the inputs, the hidden layers and the outputs.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        self.widest = max(widths)
        self.parameters = 0  # in a row
        self.statistics = 0
        self.layers: list[Layer] = []
        for number, (before, width) in enumerate(pairwise(widths), start=2):
            weight, bias = self._parameter(before, width), self._parameter(width)
            if number == len(widths):
                self.layers.append(Layer(weight, bias))
                continue
            scale, shift = self._parameter(width), self._parameter(width)
            mean, variance = self._statistic(width), self._statistic(width)
            self.layers.append(Layer(weight, bias, scale, shift, mean, variance))

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
    counters of batches; ``dropouts`` the number of each hidden layer's dropout in the model, None
    where it has none.
    """

    parameters: dict[str, Place]
    statistics: dict[str, Place]
    counts: list[str]
    dropouts: list[int | None]


def names_of(model: nn.Sequential, layout: Layout) -> Names:
    """Find the tensors of a model in its row."""
    names = Names({}, {}, [], [None for _ in layout.layers[:-1]])
    hidden = -1
    for number, module in model.named_children():
        if isinstance(module, nn.Linear):
            hidden += 1
        layer = layout.layers[max(hidden, 0)]
        for kind, name, place in _tensors(module, layer):
            kept = names.parameters if kind == "parameter" else names.statistics
            kept[f"{number}.{name}"] = place
        if isinstance(module, nn.BatchNorm1d):
            names.counts.append(f"{number}.num_batches_tracked")
        if isinstance(module, Dropout):
            names.dropouts[hidden] = module.layer
    return names


def _tensors(module: nn.Module, layer: Layer) -> Iterator[tuple[str, str, Place]]:
    if isinstance(module, nn.Linear):
        yield "parameter", "weight", layer.weight
        yield "parameter", "bias", layer.bias
    elif isinstance(module, _NORMS):
        assert layer.scale is not None
        assert layer.shift is not None
        yield "parameter", "weight", layer.scale
        yield "parameter", "bias", layer.shift
    if isinstance(module, nn.BatchNorm1d):
        assert layer.mean is not None
        assert layer.variance is not None
        yield "statistic", "running_mean", layer.mean
        yield "statistic", "running_var", layer.variance
