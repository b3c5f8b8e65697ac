"""What Python code says of an experiment, as the plain data that a file would hold."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from spaces.parameters import Choice, Float, Int, dump, plain_scalar
from spaces.problems import InputError, shown


def plain_setting(value: Any, place: str) -> Any:
    """A setting as plain data.

    Args:
        value: texts, numbers, paths, parameters, and lists, arrays and mappings of these.
        place: where it stands, ``space.lr``.

    Raises:
        InputError: when it holds anything else; or, as a parameter, a tuple of two numbers.
    """
    value = plain_scalar(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Float | Int | Choice):
        return plain_setting(dump(value), place)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "mM":  # dates and durations
        return plain_setting(value.tolist(), place)
    if isinstance(value, PathLike):
        return str(Path(fspath(value)))
    if isinstance(value, Mapping):
        plain = {plain_scalar(key): held for key, held in value.items()}
        return {key: plain_setting(held, f"{place}.{key}") for key, held in plain.items()}
    if isinstance(value, tuple) and _may_be_range(value) and place.startswith("space."):
        low, high = value
        raise InputError(
            f"a tuple may be meant as a range or as choices, got {shown(value)}; a range is "
            f'{{"low": {low!r}, "high": {high!r}}}, a list is choices: [{low!r}, {high!r}]',
            place,
        )
    if isinstance(value, list | tuple):
        return [plain_setting(held, f"{place}.{n}") for n, held in enumerate(value)]
    raise InputError(f"must hold texts, numbers, lists and mappings, got {shown(value)}", place)


def _may_be_range(value: tuple[Any, ...]) -> bool:
    return len(value) == 2 and all(type(plain_scalar(end)) in (int, float) for end in value)
