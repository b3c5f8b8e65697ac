"""The network of a shoal: many multilayer perceptrons of the same widths, each step at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.model import Mlp
from trainables.models.layers import ACTIVATIONS, largest_divisor
from trainables.models.noise import layer_key, masks, step_keys, threshold
from trainables.shoal.layout import Layer, Layout, Place


class Style(NamedTuple):
    """What is done between two linear layers, before dropout."""

    norm: str
    norm_groups: int
    activation: str

    @classmethod
    def of(cls, settings: Mlp) -> Style:
        """A training's; groups count only where there are some."""
        groups = settings.norm_groups if settings.norm == "group" else 0
        return cls(settings.norm, groups, settings.activation)


class Dropouts:
    """The dropout of all trainings in an epoch.

    Args:
        seeds: of each training.
        rates: of each.
        layers: for each training, the numbers of its dropouts in its model, None where none is.
        first: the step with which each begins the epoch, counted over the whole training.
        steps: of the epoch.
        like: a tensor of the type, and on the device, of the inputs.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        rates: Sequence[float],
        layers: Sequence[Sequence[int | None]],
        first: Sequence[int],
        steps: int,
        like: torch.Tensor,
    ) -> None:
        device = like.device
        thresholds = [threshold(rate) for rate in rates]
        self._thresholds = torch.tensor(thresholds, dtype=torch.int32, device=device)
        self._scales = like.new_tensor([1.0 / (1.0 - rate) for rate in rates])
        begun = torch.tensor(first, device=device)
        self._keys: list[torch.Tensor | None] = []  # for each hidden layer, (steps, trainings)
        for numbers in zip(*layers, strict=True):
            if all(number is None for number in numbers):
                self._keys.append(None)
                continue
            keys = [layer_key(seed, n or 0) for seed, n in zip(seeds, numbers, strict=True)]
            held = torch.tensor(keys, dtype=torch.int32, device=device)
            self._keys.append(step_keys(held, begun, steps))

    def drop(self, inputs: torch.Tensor, hidden: int, step: int) -> torch.Tensor:
        """Drop values of a hidden layer, (trainings, samples, width), at a step of the epoch."""
        keys = self._keys[hidden]
        if keys is None:
            return inputs
        return inputs * masks(keys[step], self._thresholds, self._scales, inputs.shape[1:])


class Network:
    """Many trainings' networks; those of one style must stand side by side.

    Args:
        layout: of the rows.
        styles: of each training.
        parameters: (trainings, parameters), of which the layers are views.
        statistics: (trainings, statistics), what batch norm keeps.
    """

    def __init__(
        self,
        layout: Layout,
        styles: Sequence[Style],
        parameters: torch.Tensor,
        statistics: torch.Tensor,
    ) -> None:
        self._layout = layout
        self._styles = [(style, len(list(same))) for style, same in groupby(styles)]
        self._statistics = statistics
        self._held: dict[Place, torch.Tensor] = {}
        for layer in layout.layers:
            for place in (layer.weight, layer.bias, layer.scale, layer.shift):
                if place is not None:
                    self._held[place] = place.of(parameters).detach().requires_grad_()

    @property
    def leaves(self) -> list[torch.Tensor]:
        """The parameters, tensor by tensor, each (trainings, …)."""
        return list(self._held.values())

    def gradients(self, minimised: torch.Tensor, into: torch.Tensor) -> None:
        """Write the gradients of a number into rows of the layout, (trainings, parameters)."""
        found = torch.autograd.grad(
            minimised, self.leaves, allow_unused=True, materialize_grads=True
        )
        for place, gradient in zip(self._held, found, strict=True):
            place.of(into).copy_(gradient)

    def forward(
        self, inputs: torch.Tensor, dropouts: Dropouts | None = None, step: int = 0
    ) -> torch.Tensor:
        """The outputs, (trainings, samples, outputs).

        Args:
            inputs: (trainings, samples, features).
            dropouts: those of an epoch; None: evaluate.
            step: of the epoch.
        """
        values = inputs
        for number, layer in enumerate(self._layout.layers):
            weight, bias = self._held[layer.weight], self._held[layer.bias]
            values = torch.baddbmm(bias[:, None], values, weight.transpose(1, 2))
            if layer.scale is not None:
                values = self._between(values, layer, dropouts is not None)
                if dropouts is not None:
                    values = dropouts.drop(values, number, step)
        return values

    def _between(self, values: torch.Tensor, layer: Layer, is_training: bool) -> torch.Tensor:
        """Norm and activation, style by style."""
        counts = [count for _, count in self._styles]
        parts = torch.split(values, counts) if len(counts) > 1 else (values,)
        done, first = [], 0
        for (style, count), part in zip(self._styles, parts, strict=True):
            normed = self._norm(part, layer, style, slice(first, first + count), is_training)
            done.append(ACTIVATIONS[style.activation]()(normed))
            first += count
        return torch.cat(done) if len(done) > 1 else done[0]

    def _norm(
        self, values: torch.Tensor, layer: Layer, style: Style, rows: slice, is_training: bool
    ) -> torch.Tensor:
        """Normalise the values of some trainings, (trainings, samples, width)."""
        if style.norm == "none":
            return values
        assert layer.scale is not None
        assert layer.shift is not None
        scale, shift = self._held[layer.scale][rows], self._held[layer.shift][rows]
        width = values.shape[-1]
        if style.norm == "batch":
            return self._batch_norm(values, layer, scale, shift, rows, is_training)
        if style.norm == "layer":
            normed = F.layer_norm(values, (width,))
        else:
            groups = largest_divisor(width, style.norm_groups)
            normed = F.group_norm(values.reshape(-1, width), groups).view(values.shape)
        return torch.addcmul(shift[:, None], normed, scale[:, None])

    def _batch_norm(
        self,
        values: torch.Tensor,
        layer: Layer,
        scale: torch.Tensor,
        shift: torch.Tensor,
        rows: slice,
        is_training: bool,
    ) -> torch.Tensor:
        """All trainings' features as those of one layer: each is normalised by itself anyway."""
        assert layer.mean is not None
        assert layer.variance is not None
        trainings, samples, width = values.shape
        mean, variance = (
            place.of(self._statistics)[rows] for place in (layer.mean, layer.variance)
        )
        mean_now, variance_now = mean.flatten().clone(), variance.flatten().clone()
        normed = F.batch_norm(
            values.transpose(0, 1).reshape(samples, -1),
            mean_now,
            variance_now,
            scale.reshape(-1),
            shift.reshape(-1),
            is_training,
        )
        if is_training:
            mean.copy_(mean_now.view_as(mean))
            variance.copy_(variance_now.view_as(variance))
        return normed.view(samples, trainings, width).transpose(0, 1)
