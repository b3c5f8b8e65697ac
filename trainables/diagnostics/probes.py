"""Probes: how signal and gradient travel through the depth of a model, on one batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import nn

from trainables.models.layers import ACTIVATIONS, DropConnect, Dropout

DEAD = 1e-3  # a unit whose output varies less across the batch tells samples apart no more
SATURATED = 0.1  # of the greatest slope

_NAMES = {kind: name for name, kind in ACTIVATIONS.items()}


@dataclass(frozen=True)
class Signals:
    """What was measured after one layer: after its activation, where it has one.

    ``activation_std`` and ``gradient_std`` are over all values, the gradient being that of the
    batch's mean loss with respect to these very outputs; ``…_across_batch`` are those of each unit
    across the batch, averaged over the units (a layer whose units are stuck at different values
    has the first and lacks the second).
    ``dead``: the share of units that vary by less than 0.001 across the batch. ``saturated``: the
    share of values where the activation's slope is below a tenth of its greatest (sigmoid and tanh;
    None for others, which have no such limit).
    """

    layer: str
    activation_std: float
    activation_std_across_batch: float
    gradient_std: float
    gradient_std_across_batch: float
    dead: float
    saturated: float | None


MEASURES = tuple(name for name in Signals.__dataclass_fields__ if name != "layer")


def measure(
    model: nn.Sequential, inputs: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]
) -> list[Signals]:
    """Run one batch forward and backward, and leave the model as it was.

    Batch norm takes the batch's own statistics, as in training; nothing is dropped, for noise
    would pass as signal.

    Args:
        model: its linear and conv layers are measured, in their order.
        inputs: (batch, …).
        loss: of the model's outputs.
    """
    points = _points(model)
    outputs: dict[nn.Module, torch.Tensor] = {}

    def keep(module: nn.Module, _: object, output: torch.Tensor) -> None:
        outputs[module] = output

    with ExitStack() as stack:
        stack.enter_context(_untouched(model))
        for _, point in points:
            stack.callback(point.register_forward_hook(keep).remove)
        value = loss(model(inputs))
        kept = [outputs[point] for _, point in points]
        gradients = torch.autograd.grad(value, kept)
    return [
        _signals(f"{number:02d} {_name(layer, point)}", point, output.detach(), gradient)
        for number, ((layer, point), output, gradient) in enumerate(
            zip(points, kept, gradients, strict=True), start=1
        )
    ]


def _points(model: nn.Sequential) -> list[tuple[nn.Module, nn.Module]]:
    """Each layer with weights, and where it is measured: its activation, or itself."""
    points: list[tuple[nn.Module, nn.Module]] = []
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv2d):
            points.append((module, module))
        elif type(module) in _NAMES and points:
            points[-1] = (points[-1][0], module)
    return points


def _name(layer: nn.Module, point: nn.Module) -> str:
    sizes = tuple(layer.weight.shape)  # type: ignore[arg-type]
    kind = "conv" if isinstance(layer, nn.Conv2d) else "linear"
    activation = _NAMES.get(type(point), "none")
    return f"{kind} {sizes[1]}-{sizes[0]}" + ("" if activation == "none" else f" {activation}")


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Training mode without dropout; what batch norm moves is put back."""
    was_training = model.training
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    for module in model.modules():
        if isinstance(module, Dropout | DropConnect):
            module.eval()
    try:
        yield
    finally:
        model.train(was_training)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _signals(layer: str, point: nn.Module, output: torch.Tensor, gradient: torch.Tensor) -> Signals:
    units = output.flatten(1).std(dim=0, correction=0)  # (units,)
    return Signals(
        layer=layer,
        activation_std=output.std(correction=0).item(),
        activation_std_across_batch=units.mean().item(),
        gradient_std=gradient.std(correction=0).item(),
        gradient_std_across_batch=gradient.flatten(1).std(dim=0, correction=0).mean().item(),
        dead=_share(units < DEAD, units),
        saturated=_saturated(point, output),
    )


def _saturated(point: nn.Module, output: torch.Tensor) -> float | None:
    if isinstance(point, nn.Tanh):
        slope, greatest = 1.0 - output.square(), 1.0
    elif isinstance(point, nn.Sigmoid):
        slope, greatest = output * (1.0 - output), 0.25
    else:
        return None
    return _share(slope < SATURATED * greatest, slope)


def _share(which: torch.Tensor, values: torch.Tensor) -> float:
    """The share of values that are so; NaN where one is not finite."""
    return which.float().mean().item() if values.isfinite().all() else math.nan


def as_metrics(signals: list[Signals]) -> dict[str, float]:
    """The measures by name, such as ``gradient_std/03 linear 64-32 tanh``, for TensorBoard."""
    found: dict[str, float] = {}
    for layer in signals:
        measured = asdict(layer)
        found |= {
            f"{name}/{layer.layer}": measured[name]
            for name in MEASURES
            if measured[name] is not None
        }
    return found
