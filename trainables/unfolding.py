"""Small files that unfold to much: what a checkpoint from elsewhere may claim to hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import torch

MOST_TIMES = 16  # tensors that share their memory are counted once each
_MOST_LEVELS = 100
_FEW_ITEMS = 10_000


class UnfoldingError(ValueError):
    """A file claims much more than it holds."""


def check_entries(payload: bytes) -> None:
    """See that a file of torch's is stored as torch stores it: nothing is compressed.

    Raises:
        UnfoldingError: when the entries would take more memory than the file has bytes.
        BadZipFile: when it is none of these files.
    """
    with zipfile.ZipFile(io.BytesIO(payload)) as held:
        entries = held.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UnfoldingError("its entries are compressed, which torch.save never does")
    declared = sum(entry.file_size for entry in entries)
    if declared > len(payload):
        raise UnfoldingError(f"its entries claim {declared:,} bytes in a file of {len(payload):,}")


def check_unfolded(state: Any, size: int) -> None:
    """See that what was read does not take much more memory once it is copied or walked through.

    A tensor may repeat one number any number of times, and a list may hold another twice, which
    holds another twice.

    Args:
        state: tensors and plain values.
        size: of the file, in bytes.

    Raises:
        UnfoldingError: when it would take more than 16 times the size, or is nested too deeply.
    """
    most = MOST_TIMES * size
    claimed = items = 0
    waiting = [(state, 0)]
    while waiting:
        held, level = waiting.pop()
        if isinstance(held, torch.Tensor):
            claimed += held.numel() * held.element_size()
        elif isinstance(held, Mapping | list | tuple):
            inner = held.values() if isinstance(held, Mapping) else held
            items += len(inner)
            waiting += [(each, level + 1) for each in inner if not isinstance(each, float | str)]
        if claimed > most or items > most + _FEW_ITEMS:
            raise UnfoldingError(f"it unfolds to more than {MOST_TIMES} times its {size:,} bytes")
        if level > _MOST_LEVELS:
            raise UnfoldingError(f"it is nested in more than {_MOST_LEVELS} levels")
