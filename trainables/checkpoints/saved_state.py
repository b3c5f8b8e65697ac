"""A state of the user's own code, as checkpoints hold it: tensors and plain values only."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

_ARRAY = "shoal.numpy"  # the one key of a dict that stands for an array, and holds it as a tensor
_MOST_LEVELS = 100
_SCALARS = (float, int, str, bool, type(None), complex, bytes, bytearray)
_PLAIN = (*_SCALARS, torch.Size, torch.device, torch.dtype)
_DICTS = (dict, OrderedDict, Counter)
_RULE = (
    "context.save takes tensors, NumPy arrays, numbers, texts, and lists, tuples, sets and dicts "
    "of them"
)


def checked_state(state: Any) -> Any:
    """See that a state can be read back, and make Python's numbers of NumPy's.

    Args:
        state: as the code has it; what needs no change is not copied.

    Raises:
        TypeError: when it holds anything that a checkpoint can't hold, with the place of that.
    """
    return _checked(state, ())


def without_arrays(state: Any) -> Any:
    """The state with a tensor for each NumPy array, for a checkpoint: no pickle is needed then."""
    if isinstance(state, np.ndarray):
        array = np.ascontiguousarray(state, state.dtype.newbyteorder("=")).reshape(state.shape)
        return {_ARRAY: torch.from_numpy(array)}
    return _mapped(state, without_arrays)


def with_arrays(state: Any) -> Any:
    """What ``without_arrays`` was given."""
    if type(state) is dict and state.keys() == {_ARRAY}:
        return state[_ARRAY].numpy()
    return _mapped(state, with_arrays)


def _mapped(held: Any, change: Callable[[Any], Any]) -> Any:
    if type(held) in _DICTS:
        return _with_items(held, [(key, change(value)) for key, value in held.items()])
    if type(held) in (list, tuple):
        entries = [change(entry) for entry in held]
        return held if _are_same(entries, held) else type(held)(entries)
    return held


def _checked(held: Any, path: tuple[Any, ...]) -> Any:
    kind = type(held)
    if kind in _PLAIN:
        return held
    if len(path) > _MOST_LEVELS:
        raise TypeError(f"{_RULE}, in at most {_MOST_LEVELS} levels; this one may hold itself")
    if kind in (list, tuple, set):
        entries = [
            entry if type(entry) in _SCALARS else _checked(entry, (*path, place))
            for place, entry in enumerate(held)
        ]
        return held if _are_same(entries, held) else kind(entries)
    if kind in _DICTS:
        _check_attributes(held, path)
        items = [
            (_key(key, path), value if type(value) in _SCALARS else _checked(value, (*path, key)))
            for key, value in held.items()
        ]
        return _with_items(held, items)
    if kind in (torch.Tensor, torch.nn.Parameter) and not held.is_nested:
        _check_attributes(held, path)
        if not held.is_leaf:  # PyTorch copies none of these
            raise _error(path, "a tensor with a graph; save its .detach()")
        return held
    if isinstance(held, np.generic) and held.dtype.kind in "biufcSU":
        return _number(held, path)
    if kind is np.ndarray and held.dtype.kind in "biufc" and _is_known(held.dtype):
        return held
    if kind is np.ndarray:
        raise _error(path, f"an array of {held.dtype}")
    raise _error(path, _article(kind))


def _check_attributes(held: Any, path: tuple[Any, ...]) -> None:
    """What somebody hung on a tensor, or PyTorch on a state_dict, is saved with it."""
    for name, value in getattr(held, "__dict__", {}).items():
        _checked(value, (*path, name))


def _key(key: Any, path: tuple[Any, ...]) -> Any:
    """A key of a dict: a plain value, or a tuple of such."""
    if isinstance(key, np.generic) or type(key) in (*_PLAIN, tuple):
        return _checked(key, (*path, key))
    raise _error(path, f"the key {key!r}, {_article(type(key))}")


def _number(value: np.generic, path: tuple[Any, ...]) -> Any:
    plain = value.item()
    if type(plain) not in _SCALARS:  # one of more than 64 bits
        raise _error(path, _article(type(value)))
    return plain


def _is_known(dtype: np.dtype[Any]) -> bool:
    """Whether PyTorch has it, too; it has no floats of more than 64 bits."""
    return dtype.itemsize <= (16 if dtype.kind == "c" else 8)


def _with_items(held: Any, items: list[tuple[Any, Any]]) -> Any:
    """A dict with these items; itself where they are its own."""
    if _are_same((x for item in items for x in item), (x for item in held.items() for x in item)):
        return held
    changed = copy.copy(held)  # keeps what PyTorch hung on a state_dict
    changed.clear()
    changed.update(dict(items))  # a Counter would count the pairs
    return changed


def _are_same(some: Iterable[Any], others: Iterable[Any]) -> bool:
    return all(one is other for one, other in zip(some, others, strict=True))


def _error(path: tuple[Any, ...], received: str) -> TypeError:
    """The rule and what was received, with its place as in ``optimizer.state.0``."""
    place = ".".join(str(part) for part in path) or "the state itself"
    return TypeError(f"{_RULE}; got {place}: {received}")


def _article(kind: type) -> str:
    name = kind.__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
