"""Changes to the samples of a batch, all at once on their device: crop, flip, cutout, mixup.

Each is a function of (seed, number of the batch) alone; many trainings get theirs at once, each by
its own settings, and the very same as by itself. What is padded or cut out is 0, after the inputs
were normalised.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from spaces.seeds import derive_seed
from spaces.settings.train import Train
from trainables.fitting.batch import Batch
from trainables.models.noise import BLOCK, Step, Steps, at_step, hashes, integers


class Augmentation:
    """What some trainings do to their samples, in steps that they take at once.

    Args:
        settings: of each training, with ``crop``, ``flip``, ``cutout`` and ``mixup``.
        steps: that they take.
        shape: of a sample.
        like: a tensor of the type, and on the device, of the samples.
    """

    def __init__(
        self, settings: Sequence[Train], steps: Steps, shape: Sequence[int], like: torch.Tensor
    ) -> None:
        self._moves = self._cutouts = self._mixtures = None
        if any(each.crop or each.flip for each in settings):
            self._moves = _Moves(settings, steps, shape, like.device)
        if any(each.cutout for each in settings):
            self._cutouts = _Cutouts(settings, steps, shape, like.device)
        if any(each.mixup for each in settings):
            self._mixtures = _Mixtures(settings, steps, like)

    def apply(self, batch: Batch, step: Step) -> Batch:
        """Change a batch of all trainings; without settings it is left as it is.

        Args:
            batch: as it is in the data, inputs (trainings, samples, …).
            step: from 0.
        """
        inputs = batch.inputs
        if self._moves is not None:
            inputs = self._moves.apply(inputs, step)
        if self._cutouts is not None:
            inputs = self._cutouts.apply(inputs, step)
        if inputs is not batch.inputs:
            batch = replace(batch, inputs=inputs)
        return batch if self._mixtures is None else self._mixtures.apply(batch, step)


class _Moves:
    """Crops and flips: each pixel is taken from another place of its image.

    A crop pads an image with zeros and cuts one of the original size from it, anywhere; a flip
    turns it left to right with probability 1/2. Paddings are in pixels, on each side.
    """

    def __init__(
        self, settings: Sequence[Train], steps: Steps, shape: Sequence[int], device: torch.device
    ) -> None:
        self._keys = steps.keys(["move"] * len(settings), device)
        self._crops = any(each.crop for each in settings)
        limits = [[2 * each.crop + 1, 2 * each.crop + 1, 1 + each.flip] for each in settings]
        self._limits = torch.tensor(limits, device=device)[:, None]  # (trainings, 1, 3)
        self._paddings = torch.tensor([each.crop for each in settings], device=device)[:, None]
        self._rows, self._columns = (torch.arange(side, device=device) for side in shape[1:])

    def apply(self, images: torch.Tensor, step: Step) -> torch.Tensor:
        """Move images (trainings, samples, channels, height, width)."""
        samples, channels, height, width = images.shape[1:]
        drawn = integers(hashes(at_step(self._keys, step), (samples, 3)), self._limits)
        top, left, is_turned = drawn.unbind(2)  # (trainings, samples) each
        is_turned = is_turned[..., None].bool()
        if not self._crops:
            return torch.where(is_turned[..., None, None], images.flip(-1), images)
        columns = torch.where(is_turned, self._columns.flip(0), self._columns)
        columns = columns + (left - self._paddings)[..., None]  # (trainings, samples, width)
        rows = self._rows + (top - self._paddings)[..., None]  # (trainings, samples, height)
        places = width * rows.clamp(0, height - 1)[..., None]
        places = places + columns.clamp(0, width - 1)[..., None, :]
        places = places.flatten(2)[:, :, None].expand(-1, -1, channels, -1)
        moved = images.flatten(3).gather(3, places).view(images.shape)
        is_inside = _product(_is_below(rows, height), _is_below(columns, width))
        return moved.masked_fill_(~is_inside[:, :, None], 0.0)


class _Cutouts:
    """Squares of 0; the middle of one is any pixel, so some of it may lie outside.

    (DeVries & Taylor, 2017.)
    """

    def __init__(
        self, settings: Sequence[Train], steps: Steps, shape: Sequence[int], device: torch.device
    ) -> None:
        self._keys = steps.keys(["cutout"] * len(settings), device)
        self._limits = torch.tensor(shape[1:], device=device)
        sides = [each.cutout for each in settings]
        self._sides = torch.tensor(sides, device=device)[:, None, None]  # (trainings, 1, 1)
        self._places = [torch.arange(side, device=device) for side in shape[1:]]

    def apply(self, images: torch.Tensor, step: Step) -> torch.Tensor:
        """Cut a square from each image (trainings, samples, channels, height, width)."""
        middles = integers(hashes(at_step(self._keys, step), (images.shape[1], 2)), self._limits)
        first = (middles - self._sides // 2)[..., None]  # (trainings, samples, 2, 1)
        is_row, is_column = (
            _is_below(places - first[:, :, axis], self._sides)
            for axis, places in enumerate(self._places)
        )
        return images.masked_fill(_product(is_row, is_column)[:, :, None], 0.0)


def _is_below(values: torch.Tensor, limit: int | torch.Tensor) -> torch.Tensor:
    """Which values are from 0 and below a limit."""
    return (values >= 0) & (values < limit)


def _product(is_row: torch.Tensor, is_column: torch.Tensor) -> torch.Tensor:
    """The pixels in some rows and columns, (…, height, width)."""
    return is_row[..., None] & is_column[..., None, :]


class _Mixtures:
    """Mixup: each sample with another one of its batch, inputs and targets alike.

    (Zhang et al., 2018.) All samples of a batch have the same share in their mixtures. Values are
    mixed; classes are kept apart, and the loss is mixed.
    """

    def __init__(self, settings: Sequence[Train], steps: Steps, like: torch.Tensor) -> None:
        self._keys = steps.keys(["mixup"] * len(settings), like.device)
        shares = [
            [_share(seed, each.mixup, first + step) for step in range(steps.batches)]
            for each, seed, first in zip(settings, steps.seeds, steps.first, strict=True)
        ]
        self._shares = like.new_tensor(shares).T.contiguous()  # (steps, trainings)
        does_mix = [each.mixup > 0 for each in settings]
        self._does_mix = torch.tensor(does_mix, device=like.device)[:, None]

    def apply(self, batch: Batch, step: Step) -> Batch:
        """Mix a batch that has not been mixed."""
        trainings, samples = batch.inputs.shape[:2]
        order = torch.argsort(hashes(at_step(self._keys, step), (samples,)), dim=1)
        own = torch.arange(samples, device=order.device)
        order = torch.where(self._does_mix, order, own)
        firsts = samples * torch.arange(trainings, device=order.device)[:, None]
        others = (firsts + order).flatten()  # among the samples of all trainings
        partners = batch.targets.flatten(0, 1)[others].view_as(batch.targets)
        share = at_step(self._shares, step)
        inputs = batch.inputs.flatten(0, 1)[others].view_as(batch.inputs)
        inputs = _mixed(inputs, batch.inputs, share)
        if batch.targets.is_floating_point():
            return Batch(inputs, _mixed(partners, batch.targets, share))
        return Batch(inputs, batch.targets, partners, share)


def _mixed(others: torch.Tensor, values: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Values (trainings, …), of which each training has this share, and others."""
    return torch.lerp(others, values, share.view(-1, *(1 for _ in values.shape[1:])))


def _share(seed: int, alpha: float, step: int) -> float:
    """That of a training's samples in a step, from the Beta distribution; without mixup all."""
    return _shares(seed, alpha, step // BLOCK)[step % BLOCK] if alpha else 1.0


@functools.lru_cache(maxsize=1024)
def _shares(seed: int, alpha: float, block: int) -> list[float]:
    generator = np.random.default_rng(derive_seed(seed, "share", block))
    shares: list[float] = generator.beta(alpha, alpha, BLOCK).tolist()
    return shares
