"""Whether an error is want of memory, or of room on a disk."""

from __future__ import annotations

import errno

import torch


def is_short_of_room(error: BaseException) -> bool:
    """Whether there was no memory left, here or on the GPU, or no room on a disk of the code's.

    (A CPU's allocator has no type of its own for it.)
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
