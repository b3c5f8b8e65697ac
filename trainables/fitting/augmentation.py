"""Changes to the samples of a batch, all at once on its device: crop, flip, cutout, mixup.

Each is a function of (seed, number of the batch) alone. What is padded or cut out is 0, after the
inputs were normalised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from spaces.seeds import derive_seed
from spaces.settings.train import Train
from trainables.fitting.batch import Batch


def augment(batch: Batch, settings: Train, seed: int, number: int) -> Batch:
    """Change a batch as the settings ask for; by default it is left as it is.

    Args:
        batch: as it is in the data.
        settings: with ``crop``, ``flip``, ``cutout`` and ``mixup``.
        seed: the training's seed.
        number: of the batch, from 0 over the whole training.
    """
    inputs = batch.inputs
    if settings.crop:
        inputs = crop(inputs, settings.crop, _generator(inputs, seed, "crop", number))
    if settings.flip:
        inputs = flip(inputs, _generator(inputs, seed, "flip", number))
    if settings.cutout:
        inputs = cutout(inputs, settings.cutout, _generator(inputs, seed, "cutout", number))
    batch = batch if inputs is batch.inputs else replace(batch, inputs=inputs)
    if settings.mixup:
        share = np.random.default_rng(derive_seed(seed, "share", number)).beta(
            settings.mixup, settings.mixup
        )
        return mixup(batch, float(share), _generator(inputs, seed, "mixup", number))
    return batch


def _generator(like: torch.Tensor, seed: int, kind: str, number: int) -> torch.Generator:
    return torch.Generator(like.device).manual_seed(derive_seed(seed, kind, number))


def crop(images: torch.Tensor, padding: int, generator: torch.Generator) -> torch.Tensor:
    """Pad each image with zeros and cut one of the original size from it, anywhere.

    Args:
        images: (samples, channels, height, width).
        padding: in pixels, on each side.
        generator: draws the places.
    """
    samples, channels, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    top, left = (
        _integers(2 * padding + 1, samples, generator),
        _integers(2 * padding + 1, samples, generator),
    )
    rows = top[:, None] + torch.arange(height, device=images.device)  # (samples, height)
    columns = left[:, None] + torch.arange(width, device=images.device)  # (samples, width)
    sample = torch.arange(samples, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[sample, channel, rows[:, None, :, None], columns[:, None, None, :]]


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each image left to right with probability 1/2.

    Args:
        images: (samples, channels, height, width).
        generator: draws which.
    """
    is_turned = _integers(2, len(images), generator).bool()
    return torch.where(is_turned[:, None, None, None], images.flip(-1), images)


def cutout(images: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    """Set a square of each image to 0; its middle is any pixel, so some of it may lie outside.

    (DeVries & Taylor, 2017.)

    Args:
        images: (samples, channels, height, width).
        side: of the square, in pixels.
        generator: draws the places.
    """
    samples, _, height, width = images.shape
    is_row, is_column = (
        _is_in_span(_integers(size, samples, generator), side, size) for size in (height, width)
    )
    return images.masked_fill((is_row[:, :, None] & is_column[:, None, :])[:, None], 0.0)


def _is_in_span(middles: torch.Tensor, length: int, size: int) -> torch.Tensor:
    """Which of ``size`` places are in a span around each middle: (samples, size)."""
    first = (middles - length // 2)[:, None]
    places = torch.arange(size, device=middles.device)
    return (places >= first) & (places < first + length)


def mixup(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """Mix each sample with another one of the batch, inputs and targets alike.

    (Zhang et al., 2018.) Values are mixed; classes are kept apart, and the loss is mixed.

    Args:
        batch: without partners.
        share: of each sample in its mixture, the same for all.
        generator: draws the partners.
    """
    order = torch.randperm(len(batch), generator=generator, device=batch.inputs.device)
    inputs = share * batch.inputs + (1.0 - share) * batch.inputs[order]
    if batch.targets.is_floating_point():
        targets = share * batch.targets + (1.0 - share) * batch.targets[order]
        return Batch(inputs, targets)
    return Batch(inputs, batch.targets, batch.targets[order], share)


def _integers(below: int, count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) integers from 0, below ``below``."""
    return torch.randint(below, (count,), generator=generator, device=generator.device)
