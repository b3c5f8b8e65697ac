"""Small files that unfold to much: what a checkpoint from elsewhere may claim to hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import torch

MOST_TIMES = 16
MOST_UNFOLDED = 2 * 2**30  # bytes, of tensors that repeat numbers, or are copied one by one
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
    """See that a state does not take much more memory once it is copied or walked through.

    A tensor may repeat one number any number of times, and a list may hold another twice, which
    holds another twice. Tensors that share their memory are no fault: it is counted once.

    Args:
        state: tensors and plain values.
        size: of its file, in bytes.

    Raises:
        UnfoldingError: when it would take more than 16 times the size (with repeated numbers:
            and more than 2 GiB), or is nested too deeply.
    """
    most = MOST_TIMES * size
    held_once: dict[int, int] = {}  # bytes, by the place in memory
    claimed = repeated = items = 0
    waiting = [(state, 0)]
    while waiting:
        held, level = waiting.pop()
        if isinstance(held, torch.Tensor):
            for tensor in _dense_parts(held):
                storage, taken = tensor.untyped_storage(), _bytes_of(tensor)
                if storage.data_ptr():
                    held_once[storage.data_ptr()] = storage.nbytes()
                    repeated += taken if taken > storage.nbytes() else 0
                else:  # it is empty, or claims to lie on no device
                    claimed += taken
        elif isinstance(held, Mapping | list | tuple):
            inner = held.values() if isinstance(held, Mapping) else held
            items += len(inner)
            waiting += [(each, level + 1) for each in inner if not isinstance(each, float | str)]
        if claimed > most or items > most + _FEW_ITEMS:
            raise UnfoldingError(f"it unfolds to more than {MOST_TIMES} times its {size:,} bytes")
        if repeated > max(most, MOST_UNFOLDED):
            raise UnfoldingError(f"it unfolds to {repeated:,} bytes: tensors repeat their numbers")
        if level > _MOST_LEVELS:
            raise UnfoldingError(f"it is nested in more than {_MOST_LEVELS} levels")
    if sum(held_once.values()) > most:
        raise UnfoldingError(f"it unfolds to more than {MOST_TIMES} times its {size:,} bytes")


def check_copied(tensors: Iterable[torch.Tensor]) -> None:
    """See that tensors can each be copied, though they may share their memory.

    Raises:
        UnfoldingError: when the copies would take more than 16 times what they take together, and
            more than 2 GiB.
    """
    parts = [part for tensor in tensors for part in _dense_parts(tensor)]
    storages = [part.untyped_storage() for part in parts]
    together = sum({held.data_ptr(): held.nbytes() for held in storages}.values())
    copied = sum(map(_bytes_of, parts))
    if copied > max(MOST_TIMES * together, MOST_UNFOLDED):
        raise UnfoldingError(f"tensors that share their memory take {copied:,} bytes as copies")


def _bytes_of(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _dense_parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a tensor holds in memory: of a sparse one the indices and the values."""
    if tensor.layout is torch.strided:
        return (tensor,)
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    raise UnfoldingError(f"it holds a tensor of layout {tensor.layout}")
