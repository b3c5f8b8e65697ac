"""Whether an error is want of memory, or of room on a disk."""

from __future__ import annotations

import errno

import torch

_WORDS = ("can't allocate memory", "CUDA error: out of memory")


def is_short_of_room(error: BaseException) -> bool:
    """Whether there was no memory left, here or on the GPU, or no room on a disk of the code's.

    (A CPU's allocator has no type of its own for it, nor has a GPU without room for a context.)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
