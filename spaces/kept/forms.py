"""How a value is kept in a file: arrays, tensors, tables, long texts and lists."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr

from spaces.problems import printable, shortened

_LONGEST_PLACE = 100  # characters


class NotKeptError(Exception):
    """Why a value can't be kept; ``path``: to the part of it that can't, where that is known."""

    def __init__(self, reason: str, path: tuple[str, ...] = ()) -> None:
        place = shortened(printable(".".join(path)), _LONGEST_PLACE)
        part = f"with {place}, " if path[1:] else ""
        super().__init__(part + reason)
        self.path = path


class Form(NamedTuple):
    """How a value is kept in a file.

    ``size_bytes``: about its size in memory. ``write``: writes it into a file of that ``suffix``;
    raises ``NotKeptError`` where that turns out to be impossible. ``then``: what the source does
    with what it reads, such as ``[()]``.
    """

    suffix: str
    size_bytes: int
    write: Callable[[Path], object]
    then: str = ""


def form_of(value: Any) -> Form | None:
    """How a value is kept in a file; None for what no file can hold.

    Raises:
        NotKeptError: when it is data, but not of a kind that can be kept.
    """
    if type(value) in (np.ndarray, np.memmap) or isinstance(value, np.generic):
        return _array(value)
    torch, pandas = sys.modules.get("torch"), sys.modules.get("pandas")
    if torch is not None and type(value) is torch.Tensor:
        return _tensor(value)
    if pandas is not None and type(value) in (pandas.DataFrame, pandas.Series):
        return _table(value)
    return _plain(value) if type(value) in (str, list, dict) else None


def _array(value: Any) -> Form:
    if value.dtype.hasobject:
        raise NotKeptError("an array of objects")
    if descr_to_dtype(dtype_to_descr(value.dtype)) != value.dtype:  # another library's
        raise NotKeptError(f"an array of {value.dtype}")
    axes = _axes(value.strides, value.flags.c_contiguous)
    stored = np.asarray(value).transpose(axes)
    then = "[()]" if isinstance(value, np.generic) else _axes_back("transpose", axes)
    return Form(".npy", value.nbytes, lambda file: np.save(file, stored, allow_pickle=False), then)


def _tensor(value: Any) -> Form:
    if value.device.type != "cpu":
        raise NotKeptError(f"a tensor on {value.device}, not on the CPU")
    if value.requires_grad:
        raise NotKeptError("a tensor that requires a gradient")
    if str(value.layout) != "torch.strided" or value.is_nested or value.is_quantized:
        raise NotKeptError("a tensor that is sparse, nested or quantized")
    axes = _axes(value.stride(), value.is_contiguous())

    def write(file: Path) -> None:
        from safetensors.torch import save

        stored = value.permute(axes).contiguous().resolve_conj().resolve_neg()
        try:
            file.write_bytes(save({"tensor": stored}))
        except KeyError:
            raise NotKeptError(f"a tensor of {value.dtype}") from None

    size = value.numel() * value.element_size()
    return Form(".safetensors", size, write, _axes_back("permute", axes))


def _axes(strides: Sequence[int], is_in_order: bool) -> list[int]:
    """The axes in the order that they have in memory.

    It is kept, too: PyTorch's kernels, and so the last digits of what they compute, depend on it.
    """
    axes = range(len(strides))
    return [*axes] if is_in_order else sorted(axes, key=lambda axis: -abs(strides[axis]))


def _axes_back(method: str, axes: list[int]) -> str:
    """The call that brings axes of that order back into their own; none where they stand so."""
    back = [axes.index(axis) for axis in range(len(axes))]
    return "" if back == sorted(back) else f".{method}({', '.join(map(str, back))})"


def _table(value: Any) -> Form:
    """Of a frame of pandas, or of a series, as the one column of a frame."""
    import pandas as pd

    is_frame = isinstance(value, pd.DataFrame)
    frame = value if is_frame else value.to_frame("values")
    then = "" if is_frame else f"['values'].rename({value.name!r})"

    def write(file: Path) -> None:
        try:
            frame.to_parquet(file)
            read = pd.read_parquet(file)
            pd.testing.assert_frame_equal(read, frame, check_exact=True, check_freq=False)
        except (ValueError, TypeError, ArithmeticError, NotImplementedError, AssertionError):
            raise NotKeptError("a table that would not come back from Parquet as it is") from None

    if not is_frame and not (value.name is None or type(value.name) in (str, int)):
        raise NotKeptError(f"a series with the name {value.name!r}")
    return Form(".parquet", int(frame.memory_usage(deep=True).sum()), write, then)


def _plain(value: Any) -> Form | None:
    """Of a long text, or a long list or dict of texts and numbers."""
    try:
        text = json.dumps(value)
        is_same = repr(json.loads(text)) == repr(value)
    except (TypeError, ValueError, RecursionError):
        return None
    return Form(".json", len(text), lambda file: file.write_text(text)) if is_same else None
