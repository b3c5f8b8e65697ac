"""The network of a shoal: many multilayer perceptrons of the same widths, each step at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import torch
import torch.nn.functional as F  # noqa: N812

from spaces.settings.model import Mlp
from trainables.models.layers import ACTIVATIONS, largest_divisor
from trainables.models.noise import layer_key, masks, step_keys, threshold
from trainables.shoal.layout import Layer, Layout, Place

_EPS, _MOMENTUM = 1e-5, 0.1  # PyTorch's own


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
    """Many trainings' networks; those with the same norm must stand side by side.

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
        self._norms = _runs([(style.norm, style.norm_groups) for style in styles])
        names = [style.activation for style in styles]
        order = sorted(range(len(names)), key=names.__getitem__)
        self._activations = _runs(sorted(names))
        self._order = self._back = None
        if order != list(range(len(names))):
            self._order = torch.tensor(order, device=parameters.device)
            self._back = torch.argsort(self._order)
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
            values = torch.baddbmm(bias[:, None], values, weight)
            if layer.scale is not None:
                values = self._between(values, layer, dropouts is not None)
                if dropouts is not None:
                    values = dropouts.drop(values, number, step)
        return values

    def _between(self, values: torch.Tensor, layer: Layer, is_training: bool) -> torch.Tensor:
        """Norm and activation, each for all trainings that have the same at once."""
        if any(name != "none" for (name, _), _ in self._norms):
            first, normed = 0, []
            for (norm, count), part in zip(self._norms, _split(values, self._norms), strict=True):
                rows = slice(first, first + count)
                normed.append(self._norm(part, layer, norm, rows, is_training))
                first += count
            values = torch.cat(normed) if len(normed) > 1 else normed[0]
        if self._order is not None:
            values = values.index_select(0, self._order)
        parts = _split(values, self._activations)
        done = [
            ACTIVATIONS[name]()(part)
            for (name, _), part in zip(self._activations, parts, strict=True)
        ]
        values = torch.cat(done) if len(done) > 1 else done[0]
        return values if self._back is None else values.index_select(0, self._back)

    def _norm(
        self,
        values: torch.Tensor,
        layer: Layer,
        norm: tuple[str, int],
        rows: slice,
        is_training: bool,
    ) -> torch.Tensor:
        """Normalise the values of some trainings, (trainings, samples, width)."""
        name, most_groups = norm
        if name == "none":
            return values
        assert layer.scale is not None
        assert layer.shift is not None
        scale, shift = self._held[layer.scale][rows], self._held[layer.shift][rows]
        width = values.shape[-1]
        if name == "batch":
            normed = self._batch_norm(values, layer, rows, is_training)
        elif name == "layer":
            normed = F.layer_norm(values, (width,))
        else:
            groups = largest_divisor(width, most_groups)
            normed = F.group_norm(values.reshape(-1, width), groups).view(values.shape)
        return torch.addcmul(shift[:, None], normed, scale[:, None])

    def _batch_norm(
        self, values: torch.Tensor, layer: Layer, rows: slice, is_training: bool
    ) -> torch.Tensor:
        assert layer.mean is not None
        assert layer.variance is not None
        kept_mean = layer.mean.of(self._statistics)[rows]
        kept_variance = layer.variance.of(self._statistics)[rows]
        if not is_training:
            spread = torch.rsqrt(kept_variance + _EPS)[:, None]
            return (values - kept_mean[:, None]) * spread
        normed, mean, variance = cast(Normalised, _BatchNorm.apply(values))
        samples = values.shape[1]
        kept_mean.lerp_(mean, _MOMENTUM)
        kept_variance.lerp_(variance * (samples / (samples - 1)), _MOMENTUM)
        return normed


Value = TypeVar("Value")


def _runs(values: Sequence[Value]) -> list[tuple[Value, int]]:
    """Each value, and how often it comes there in a row."""
    return [(value, len(list(same))) for value, same in groupby(values)]


def _split(values: torch.Tensor, runs: Sequence[tuple[Any, int]]) -> Sequence[torch.Tensor]:
    """The trainings of each run."""
    return torch.split(values, [count for _, count in runs]) if len(runs) > 1 else (values,)


Normalised: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class _BatchNorm(torch.autograd.Function):
    """Normalise each feature of each training over its samples.

    (PyTorch's own takes the trainings' features for those of one layer only where they stand side
    by side, and its backward pass is slow with gradients that do not.)
    """

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> Normalised:
        """Takes (trainings, samples, width); returns it normalised, with mean and variance."""
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
