"""A stand-in for a CUDA graph on any device: operations are recorded, and then done again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainables.shoal.repeated import WARM_UPS

_ASKS_THE_DEVICE = {
    *("_local_scalar_dense", "nonzero", "masked_select", "equal", "repeat_interleave", "bincount"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive"),
}


class Recorded:
    """In place of ``Repeated``: from the fifth time on, no line of the step's own code is run.

    What was recorded is done again on the very tensors that were there, whatever has changed in
    Python since, as a GPU does with a CUDA graph. Its allocator and its streams, and what other
    threads do meanwhile, are not imitated.
    """

    made: list[Recorded] = []  # noqa: RUF012

    def __init__(self, step: Callable[[], None], device: torch.device, times: int) -> None:
        self._step = step
        self._taken = 0
        self._tape = _Tape()
        Recorded.made.append(self)

    @property
    def repetitions(self) -> int:
        """How often it was done again by itself."""
        return max(0, self._taken - WARM_UPS - 1)

    def __call__(self) -> None:
        if self._taken == WARM_UPS:
            with self._tape:
                self._step()
        elif self._taken > WARM_UPS:
            self._tape.play()
        else:
            self._step()
        self._taken += 1


class _Tape(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._played: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        assert name not in _ASKS_THE_DEVICE, f"{name} waits for the device"
        assert name != "lift_fresh", "a number of the host's goes to the device"
        masks = [leaf for leaf in tree_leaves(args) if _is_mask(leaf)]
        assert not (name.startswith("index") and masks), f"{name} by a mask waits for the device"
        result = func(*args, **kwargs)
        self._played.append((func, args, kwargs, result))
        return result

    def play(self) -> None:
        """Do all again, in the same memory."""
        with torch._C._AutoDispatchBelowAutograd():  # the gradients' operations were recorded, too
            for func, args, kwargs, results in self._played:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                    if isinstance(old, torch.Tensor) and _memory(old) != _memory(new):
                        old.copy_(new)


def _is_mask(held: Any) -> bool:
    return isinstance(held, torch.Tensor) and held.dtype == torch.bool


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
