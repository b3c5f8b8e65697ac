"""The built-in model families, made from settings: ``mlp`` and ``convnet``."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from spaces.seeds import derive_seed
from spaces.settings.model import Convnet, Mlp
from trainables.models.layers import (
    ACTIVATIONS,
    DropConnect,
    Dropout,
    init_weights,
    make_norm,
)
from trainables.models.noise import Noise

MOST_WEIGHTS = 10**10
_REPORTS_BYTES = 64 * 2**20  # earlier versions kept those of all epochs in a checkpoint


def build_model(
    settings: Mlp, input_shape: tuple[int, ...], outputs: int, seed: int
) -> tuple[nn.Sequential, Noise]:
    """Make a model with its weights drawn from ``seed``, without touching any global state.

    A model that may not fit the machine's memory is looked at with ``empty_model`` first.

    Args:
        settings: the family and its fields.
        input_shape: of one sample: (channels, height, width) or (features,).
        outputs: the number of classes, or of regression targets.
        seed: drives the weights and the dropout noise.

    Returns:
        The model, on the CPU, and the noise of its dropout layers.

    Raises:
        ValueError: when the blocks do not fit the input.
    """
    noise = Noise(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        model = _assemble(settings, input_shape, outputs, noise)
        generator = torch.Generator().manual_seed(derive_seed(seed, "init"))
        init_weights(model, settings.init, generator)
    return model, noise


def empty_model(
    settings: Mlp, input_shape: tuple[int, ...], outputs: int, seed: int
) -> nn.Sequential:
    """The model of ``build_model`` on the meta device: its weights have shapes, and no memory.

    Raises:
        ValueError: when the blocks do not fit the input, or a layer is too large.
    """
    with torch.device("meta"):
        return _assemble(settings, input_shape, outputs, Noise(seed))


def _assemble(
    settings: Mlp, input_shape: tuple[int, ...], outputs: int, noise: Noise
) -> nn.Sequential:
    model = nn.Sequential()
    features = math.prod(input_shape)
    if isinstance(settings, Convnet):
        features = _add_blocks(model, settings, input_shape, noise)
    elif len(input_shape) > 1:
        model.append(nn.Flatten())
    _add_head(model, settings, features, outputs, noise)
    return model


def count_parameters(model: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def most_state_bytes(model: nn.Module) -> int:
    """More than a checkpoint of a training takes.

    It has the weights, those of the best epoch, at most three numbers per weight of the optimizer,
    and reports.
    """
    tensors: Iterable[torch.Tensor] = model.state_dict().values()
    return _REPORTS_BYTES + 6 * sum(t.numel() * t.element_size() for t in tensors)


def _add_blocks(
    model: nn.Sequential, settings: Convnet, input_shape: tuple[int, ...], noise: Noise
) -> int:
    """Append the conv blocks and a flatten; returns the number of features that come out."""
    if len(input_shape) != 3:
        raise ValueError(
            f"a convnet needs images, got inputs of shape {input_shape}; family: mlp takes any"
        )
    channels, height, width = input_shape
    for number, block in enumerate(settings.blocks):
        height, width = (size + 2 * block.margin - block.kernel + 1 for size in (height, width))
        if min(height, width) < 1:
            message = f"blocks.{number}: kernel {block.kernel} leaves nothing of the image"
            raise ValueError(f"{message} (padding: same keeps its size)")
        is_pooled = 1 < block.pool <= min(height, width)  # not where the blocks before left less
        if not is_pooled and block.pool > min(input_shape[1:]):
            raise ValueError(f"blocks.{number}: pool {block.pool} is larger than the image")
        _check_size(channels, block.channels, block.kernel, block.kernel)
        model.append(
            nn.Conv2d(channels, block.channels, block.kernel, padding=block.margin, bias=block.bias)
        )
        channels = block.channels
        norm = make_norm(block.norm or settings.block_norm, channels, settings.norm_groups, True)
        _append(model, norm)
        model.append(ACTIVATIONS[block.activation or settings.activation]())
        if is_pooled:
            model.append(nn.MaxPool2d(block.pool))
            height, width = height // block.pool, width // block.pool
        rate = settings.block_dropout if block.dropout is None else block.dropout
        if rate > 0:
            model.append(Dropout(rate, noise, layer=len(model), channels=True))
    model.append(nn.Flatten())
    return channels * height * width


def _add_head(
    model: nn.Sequential, settings: Mlp, features: int, outputs: int, noise: Noise
) -> None:
    """Append the hidden linear layers, each with norm, activation and dropout, and the output."""
    for size in settings.hidden:
        _check_size(features, size)
        model.append(_linear(features, size, settings.dropconnect, noise, layer=len(model)))
        _append(model, make_norm(settings.norm, size, settings.norm_groups, spatial=False))
        model.append(ACTIVATIONS[settings.activation]())
        if settings.dropout > 0:
            model.append(Dropout(settings.dropout, noise, layer=len(model)))
        features = size
    _check_size(features, outputs)
    model.append(_linear(features, outputs, settings.dropconnect, noise, layer=len(model)))


def _linear(features: int, outputs: int, rate: float, noise: Noise, layer: int) -> nn.Linear:
    if rate > 0:
        return DropConnect(features, outputs, rate, noise, layer)
    return nn.Linear(features, outputs)


def _check_size(*sizes: int) -> None:
    if math.prod(sizes) > MOST_WEIGHTS:
        shape = " x ".join(map(str, sizes))
        raise ValueError(f"a layer has at most {MOST_WEIGHTS} weights, got {shape}")


def _append(model: nn.Sequential, layer: nn.Module | None) -> None:
    if layer is not None:
        model.append(layer)
