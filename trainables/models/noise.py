"""The randomness of training steps: a function of (seed, stream, step, place), on any device.

``F.dropout`` takes no generator, and PyTorch's global one depends on what ran before; so a training
that is interrupted, or that shares its process, would see other masks. Here each value of a mask is
a hash of where it stands. Nothing is drawn one after the other, so many trainings get theirs at
once, and a GPU gets the very same as a CPU. What changes the samples of a batch is drawn likewise.
A stream is a layer's number, or a name for what else is drawn.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch

from spaces.seeds import derive_seed

Step: TypeAlias = int | torch.Tensor  # its number; a tensor (1,) where the device counts them

_LOWEST = -(2**31)  # of an int32
BLOCK = 256  # steps whose keys a training by itself computes at once


def at_step(table: torch.Tensor, step: Step) -> torch.Tensor:
    """What a table, (steps, …), has for a step."""
    return table[step] if isinstance(step, int) else table.index_select(0, step)[0]


class Steps(NamedTuple):
    """Batches that some trainings are given at once, one in each step.

    ``seeds``: of each training; ``first``: the number of its first batch, counted over the whole
    training; ``batches``: how many there are.
    """

    seeds: Sequence[int]
    first: Sequence[int]
    batches: int

    def keys(self, streams: Sequence[int | str], device: torch.device) -> torch.Tensor:
        """What tells their random numbers apart, int32, (steps, trainings).

        Args:
            streams: of each training.
            device: where the keys shall be.
        """
        begun = [
            derive_seed(seed, "noise", stream) + _LOWEST
            for seed, stream in zip(self.seeds, streams, strict=True)
        ]
        first = torch.tensor(self.first, device=device)
        numbers = (torch.arange(self.batches, device=device)[:, None] + first).to(torch.int32)
        return _mix(_mix(numbers) ^ torch.tensor(begun, dtype=torch.int32, device=device))


class Noise:
    """The randomness of a model's dropout layers.

    Args:
        seed: the training's seed.
    """

    def __init__(self, seed: int) -> None:
        self._place = torch.tensor([seed, 0], device="cpu")  # a compiled model reads it each step
        self.part: tuple[int, slice] | None = None  # of a batch: its samples, and those here

    @property
    def step(self) -> int:
        """The batch, counted over the whole training."""
        return int(self._place[1])

    @step.setter
    def step(self, step: int) -> None:
        self._place[1] = step

    def keep_mask(
        self, shape: torch.Size, device: torch.device, rate: torch.Tensor, layer: int
    ) -> torch.Tensor:
        """A mask of 0 and ``1 / (1 - rate)``, in the default type of floats.

        Args:
            shape: the mask's shape.
            device: where it shall be.
            rate: the probability of 0, a float64 on the CPU.
            layer: the number of the layer in its model.
        """
        draw = _mask_in_graph if torch.compiler.is_compiling() else _mask
        return draw(self._place, rate, layer, shape, device)

    def mask_of_samples(
        self, shape: torch.Size, device: torch.device, rate: torch.Tensor, layer: int
    ) -> torch.Tensor:
        """As ``keep_mask``, for the samples that this process has of a batch: (samples, …)."""
        if self.part is None:
            return self.keep_mask(shape, device, rate, layer)
        samples, rows = self.part
        return self.keep_mask(torch.Size((samples, *shape[1:])), device, rate, layer)[rows]


def masks(
    keys: torch.Tensor, thresholds: torch.Tensor, scales: torch.Tensor, shape: Sequence[int]
) -> torch.Tensor:
    """The masks of some trainings, (trainings, *shape): 0 and the training's scale.

    Args:
        keys: (trainings,) int32, those of ``Steps.keys`` for a step.
        thresholds: (trainings,) int32, see ``threshold``.
        scales: (trainings,), 1 / (1 - rate).
        shape: of each mask.
    """
    ones = [1] * len(shape)
    is_kept = hashes(keys, shape) >= thresholds.view(-1, *ones)
    return is_kept.to(scales.dtype).mul_(scales.view(-1, *ones))


def threshold(rate: float) -> int:
    """The lowest hash, as an int32, of what is kept."""
    return min(round(rate * 2**32), 2**32 - 1) + _LOWEST


def hashes(keys: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Random numbers of some trainings, (trainings, *shape) int32, of which the high bits count.

    No two numbers of a training are equal.

    Args:
        keys: (trainings,) int32, those of ``Steps.keys`` for a step.
        shape: of the numbers of each training.
    """
    return _mix(_hashed_places(shape, keys.device) ^ keys.view(-1, *(1 for _ in shape)))


def integers(hashed: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Whole numbers from 0, each below its limit, all about equally often.

    Args:
        hashed: int32, of ``hashes``.
        limits: int64, from 1 to 2**31, of a shape to go with them.
    """
    return ((hashed.to(torch.int64) - _LOWEST) * limits) >> 32


def _mix(values: torch.Tensor) -> torch.Tensor:
    """Change int32 values in place so that each of their bits has a say in the high ones.

    (Multiply, xor, shift, with the constants of C. Wellons' "lowbias32".)
    """
    values.mul_(0x7FEB352D)
    values.bitwise_xor_((values >> 15).bitwise_and_(0x1FFFF))
    return values.mul_(0x846CA68B - 2**32)


def _hashed_places(shape: Sequence[int], device: torch.device) -> torch.Tensor:
    size = 1
    for length in shape:
        size *= length
    rounded = 1 << max(10, (size - 1).bit_length())
    return _hashed_integers(rounded, device)[:size].view(1, *shape)


@functools.lru_cache(maxsize=32)  # a GPU that repeats a step reads them as long as it does
def _hashed_integers(count: int, device: torch.device) -> torch.Tensor:
    values = _mix(torch.arange(1, count + 1, dtype=torch.int32, device=device))
    return values.bitwise_xor_((values >> 16).bitwise_and_(0xFFFF))


@functools.lru_cache(maxsize=1024)
def _keys(seed: int, layer: int, block: int) -> list[int]:
    """The keys of a training's layer, for the steps of a block."""
    steps = Steps([seed], [block * BLOCK], BLOCK)
    keys: list[int] = steps.keys([layer], torch.device("cpu"))[:, 0].tolist()
    return keys


def _mask(
    place: torch.Tensor, rate: torch.Tensor, layer: int, shape: Sequence[int], device: torch.device
) -> torch.Tensor:
    seed, step = place.tolist()
    dropped = rate.item()
    key = _keys(seed, layer, step // BLOCK)[step % BLOCK]
    return masks(
        torch.tensor([key], dtype=torch.int32, device=device),
        torch.tensor([threshold(dropped)], dtype=torch.int32, device=device),
        torch.tensor([1.0 / (1.0 - dropped)], device=device),
        shape,
    )[0]


# A compiled model calls this and does not look inside: seed, step and rate are read as it runs, so
# that they may change without it being compiled again.
_mask_in_graph = torch.library.custom_op("shoal::keep_mask", _mask, mutates_args=())


@_mask_in_graph.register_fake
def _(
    place: torch.Tensor, rate: torch.Tensor, layer: int, shape: Sequence[int], device: torch.device
) -> torch.Tensor:
    return torch.empty(shape, device=device)
