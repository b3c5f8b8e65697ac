"""The layers that the settings name, and how their weights start."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from spaces.settings.model import Init
from trainables.models.noise import Noise


class Dropout(nn.Module):
    """Dropout (Srivastava et al., 2014) of single values, or of whole channels.

    Args:
        rate: the probability with which a value (or channel) is dropped while training.
        noise: the model's randomness.
        layer: this layer's number in the model.
        channels: drop (sample, channel) planes instead of values (Tompson et al., 2015).
    """

    def __init__(self, rate: float, noise: Noise, layer: int, channels: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self._rate = torch.tensor(rate, dtype=torch.float64, device="cpu")
        self.noise = noise
        self.layer = layer
        self.channels = channels

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return inputs
        shape = inputs.shape
        if self.channels:
            shape = torch.Size((*shape[:2], *(1 for _ in shape[2:])))  # (batch, channels, 1, 1)
        return inputs * self.noise.mask_of_samples(shape, inputs.device, self._rate, self.layer)

    def extra_repr(self) -> str:
        return f"rate={self.rate}" + (", channels" if self.channels else "")


class DropConnect(nn.Linear):
    """A linear layer whose weights are dropped, each by itself, at every training step.

    (Wan et al., 2013.) The kept ones are scaled up, so that at evaluation the weights stand at
    their expectation. All samples of a batch see the same weights.

    Args:
        features: the size of an input.
        outputs: the size of an output.
        rate: the probability with which a weight is dropped while training.
        noise: the model's randomness.
        layer: this layer's number in the model.
    """

    def __init__(self, features: int, outputs: int, rate: float, noise: Noise, layer: int) -> None:
        super().__init__(features, outputs)
        self.rate = rate
        self._rate = torch.tensor(rate, dtype=torch.float64, device="cpu")
        self.noise = noise
        self.layer = layer

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(inputs)
        weight = self.weight
        mask = self.noise.keep_mask(weight.shape, weight.device, self._rate, self.layer)
        return F.linear(inputs, weight * mask, self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, rate={self.rate}"


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


def make_norm(name: str, features: int, groups: int, spatial: bool) -> nn.Module | None:
    """The normalisation layer for ``features`` units, or channels where the input is ``spatial``.

    Layer norm takes each sample by itself: over its features, or over channels and pixels (which
    is group norm with one group).
    """
    if name == "batch":
        return nn.BatchNorm2d(features) if spatial else nn.BatchNorm1d(features)
    if name == "layer":
        return nn.GroupNorm(1, features) if spatial else nn.LayerNorm(features)
    if name == "group":
        return nn.GroupNorm(largest_divisor(features, groups), features)
    return None


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of ``number`` that is not above ``most``."""
    low = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return max(n for divisor in low for n in (divisor, number // divisor) if n <= most)


def init_weights(model: nn.Module, init: Init, generator: torch.Generator) -> None:
    """Draw the weights of every linear and conv layer anew and set their biases to 0.

    xavier: Glorot & Bengio, 2010; he: He et al., 2015 (gain for ReLU); orthogonal: Saxe et al.,
    2013. ``default`` leaves PyTorch's own values.
    """
    if init.name == "default":
        return
    for layer in model.modules():
        if not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        _draw(layer.weight, init, generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw(weight: torch.Tensor, init: Init, generator: torch.Generator) -> None:
    if init.name == "orthogonal":
        nn.init.orthogonal_(weight, generator=generator)
        return
    receptive = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * receptive, weight.shape[0] * receptive
    if init.name == "normal":
        std = init.std
    elif init.name == "xavier":
        std = math.sqrt(2.0 / (fan_in + fan_out))
    else:
        std = math.sqrt(2.0 / (fan_in if init.mode == "fan_in" else fan_out))
    if init.name != "normal" and init.distribution == "uniform":
        bound = math.sqrt(3.0) * std
        nn.init.uniform_(weight, -bound, bound, generator=generator)
    else:
        nn.init.normal_(weight, 0.0, std, generator=generator)
