"""The network of a shoal: the models of all its lanes, each step at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from trainables.models.layers import DropConnect
from trainables.models.noise import Step, Steps
from trainables.shoal.layers.layout import Layout, Place, Places
from trainables.shoal.layers.masks import Masks
from trainables.shoal.layers.norms import Norms
from trainables.shoal.layers.runs import Runs
from trainables.shoal.layers.stages import Stage


class Network:
    """The models of some lanes; it is fastest where those of one style stand side by side.

    Args:
        layout: of the rows.
        models: of each lane.
        parameters: (lanes, parameters), of which the layers are views.
        statistics: (lanes, statistics), what batch norm keeps.
        steps: of the epoch, which dropout depends on.
    """

    def __init__(
        self,
        layout: Layout,
        models: Sequence[Sequence[Stage]],
        parameters: torch.Tensor,
        statistics: torch.Tensor,
        steps: Steps,
    ) -> None:
        self._held = {
            place: place.of(parameters).detach().requires_grad_()
            for places in layout.stages
            for place in places.parameters
        }
        self._stages = [
            _Layers(stages, places, self._held, statistics, steps)
            for places, *stages in zip(layout.stages, *models, strict=True)
        ]

    @property
    def leaves(self) -> list[torch.Tensor]:
        """The parameters, tensor by tensor, each (lanes, …)."""
        return list(self._held.values())

    def gradients(self, minimised: torch.Tensor, into: torch.Tensor, adds: bool) -> None:
        """Write the gradients of a number into rows of the layout, (lanes, parameters).

        Args:
            minimised: the number.
            into: the rows.
            adds: add to what stands there.
        """
        found = torch.autograd.grad(
            minimised, self.leaves, allow_unused=True, materialize_grads=True
        )
        for place, gradient in zip(self._held, found, strict=True):
            held = place.of(into)
            if adds:
                held.add_(gradient)
            else:
                held.copy_(gradient)

    def forward(self, inputs: torch.Tensor, step: Step | None = None) -> torch.Tensor:
        """The outputs, (lanes, samples, outputs).

        Args:
            inputs: (lanes, samples, features) or (lanes, samples, channels, height, width).
            step: the number of the batch in its epoch, from 0; None: evaluate.
        """
        values = inputs.transpose(0, 1) if inputs.ndim == 5 else inputs
        for stage in self._stages:
            values = stage.forward(values, step)
        return values


class _Layers:
    """A stage of all lanes.

    Images stand as (samples, lanes, channels, height, width): so PyTorch's own layers take the
    channels of all lanes for those of one image. All else stands as (lanes, samples, features).

    Args:
        stages: of each lane.
        places: of its tensors in the rows.
        held: the parameters at each place.
        statistics: (lanes, statistics).
        steps: of the epoch.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        places: Places,
        held: dict[Place, torch.Tensor],
        statistics: torch.Tensor,
        steps: Steps,
    ) -> None:
        self._layer, self._pool = stages[0].layer, stages[0].pool  # they are alike in all lanes
        self._weight = held[places.weight]
        self._bias = None if places.bias is None else held[places.bias]
        axis = 1 if isinstance(self._layer, nn.Conv2d) else 0
        self._norms = None
        if (norm := places.norm) is not None:
            learnt = held[norm.scale], held[norm.shift]
            kept = norm.mean.of(statistics), norm.variance.of(statistics)
            self._norms = Norms([stage.norm for stage in stages], axis, learnt, kept)
        self._activations = _Activations(
            [stage.activation for stage in stages], axis, statistics.device
        )
        connects = [s.layer if isinstance(s.layer, DropConnect) else None for s in stages]
        self._connects = Masks(connects, steps, self._weight) if any(connects) else None
        dropouts = [stage.dropout for stage in stages]
        self._dropouts = Masks(dropouts, steps, self._weight) if any(dropouts) else None

    def forward(self, values: torch.Tensor, step: Step | None) -> torch.Tensor:
        if isinstance(self._layer, nn.Conv2d):
            values = self._convolved(values, self._layer)
        else:
            values = self._multiplied(values, step)
        if self._norms is not None:
            values = self._norms.forward(values, step is not None)
        values = self._activations.forward(values)
        if self._pool is not None:
            pooled = F.max_pool2d(values.flatten(0, 1), self._pool.kernel_size)
            values = pooled.view(*values.shape[:2], *pooled.shape[1:])
        if step is not None and self._dropouts is not None:
            values = values * _noise(self._dropouts, step, values)
        return values

    def _convolved(self, images: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
        # on a CPU, with 16 lanes of a small network, unfold and baddbmm take up to 4 times as long
        lanes = len(self._weight)
        bias = None if self._bias is None else self._bias.flatten()
        stacked = F.conv2d(
            images.flatten(1, 2),
            self._weight.flatten(0, 1),
            bias,
            padding=layer.padding,
            groups=lanes,
        )
        return stacked.view(len(stacked), lanes, -1, *stacked.shape[2:])

    def _multiplied(self, values: torch.Tensor, step: Step | None) -> torch.Tensor:
        if values.ndim == 5:
            values = values.transpose(0, 1).flatten(2)
        weight = self._weight
        if step is not None and self._connects is not None:
            inputs, outputs = weight.shape[1:]
            weight = weight * self._connects.at(step, (outputs, inputs)).transpose(1, 2)
        assert self._bias is not None
        return torch.baddbmm(self._bias[:, None], values, weight)


def _noise(masks: Masks, step: Step, values: torch.Tensor) -> torch.Tensor:
    """What the values are multiplied by: single ones, or the channels of images."""
    if values.ndim == 3:
        return masks.at(step, values.shape[1:])
    samples, _, channels = values.shape[:3]
    return masks.at(step, (samples, channels)).transpose(0, 1)[..., None, None]


class _Activations:
    """The activations of one stage of all lanes; each is computed once, wherever lanes stand."""

    def __init__(self, layers: Sequence[nn.Module], axis: int, device: torch.device) -> None:
        names = [repr(layer) for layer in layers]
        order = sorted(range(len(names)), key=names.__getitem__)
        self._axis = axis
        self._runs = Runs([layers[lane] for lane in order], axis)
        self._order = self._back = None
        if order != list(range(len(names))):
            self._order = torch.tensor(order, device=device)
            self._back = torch.argsort(self._order)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self._order is not None:
            values = values.index_select(self._axis, self._order)
        values = self._runs.map(values, lambda activation, part, _: activation(part))
        return values if self._back is None else values.index_select(self._axis, self._back)
