"""How values are written in kept source: short plain ones as they are, data in files beside it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from spaces.kept.data_files import READER, write_data
from spaces.kept.forms import Form, NotKeptError, form_of

MOST_BYTES = 2**30  # of data, all together; larger ones belong into files that the code reads
MOST_PARTS = 1000  # in a value: each array has a file
_MOST_LEVELS = 20
_LONGEST_CONSTANT = 10_000  # characters


class Values:
    """Writes the values of one kept source.

    Args:
        folder: of the source; data files come to stand in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = 0
        self._parts = 0
        self._in_files: dict[int, str] = {}  # by id: what has two names is written once

    @property
    def have_files(self) -> bool:
        """Whether any of them stands in a file."""
        return bool(self._in_files)

    def text(self, name: str, value: Any) -> str:
        """How a value is written.

        Args:
            name: that the source has for it.
            value: plain data, arrays, tensors, tables; lists, tuples and dicts of these.

        Raises:
            NotKeptError: when it can't be.
            OSError: when a file can't be written.
        """
        self._parts = 0
        return self._text(value, (name,))

    def _text(self, value: Any, path: tuple[str, ...]) -> str:
        if (text := _constant(value)) is not None:
            return text
        if id(value) not in self._in_files:
            try:
                form = form_of(value)
                if form is None:
                    return self._container(value, path)
                self._in_files[id(value)] = self._in_file(form, path)
            except NotKeptError as error:
                raise error if error.path else NotKeptError(str(error), path) from None
        return self._in_files[id(value)]

    def _in_file(self, form: Form, path: tuple[str, ...]) -> str:
        if self._bytes + form.size_bytes > MOST_BYTES:
            most = f"at most {_mib(MOST_BYTES)} of data are kept with a function"
            raise NotKeptError(f"of {_mib(form.size_bytes)}; {most}")
        name = write_data(self._folder, ".".join(path), form)
        self._bytes += form.size_bytes
        return f"{READER}({name!r}){form.then}"

    def _container(self, value: Any, path: tuple[str, ...]) -> str:
        """How a list, a tuple or a dict is written, or scikit-learn's dict of a dataset."""
        if type(value) in (list, tuple):
            texts = self._each(enumerate(value), path)
            ends = "[]" if isinstance(value, list) else "()"
            comma = "," if ends == "()" and len(texts) == 1 else ""
            return f"{ends[0]}{', '.join(texts)}{comma}{ends[1]}"
        sklearn = sys.modules.get("sklearn.utils")
        is_bunch = sklearn is not None and type(value) is sklearn.Bunch
        if type(value) is not dict and not is_bunch:
            raise NotKeptError(f"of type {type(value).__name__}")
        keys = [_constant(key) for key in value]
        if None in keys:
            raise NotKeptError("a dict with keys that are no plain values")
        texts = self._each(value.items(), path)
        pairs = ", ".join(f"{key}: {text}" for key, text in zip(keys, texts, strict=True))
        bunch = "__import__('sklearn.utils').utils.Bunch"
        return f"{bunch}(**{{{pairs}}})" if is_bunch else f"{{{pairs}}}"

    def _each(self, held: Iterable[tuple[Any, Any]], path: tuple[str, ...]) -> list[str]:
        if len(path) > _MOST_LEVELS:
            raise NotKeptError(f"of more than {_MOST_LEVELS} levels; it may hold itself")
        texts = []
        for key, value in held:
            self._parts += 1
            if self._parts > MOST_PARTS:
                raise NotKeptError(f"of more than {MOST_PARTS:,} parts")
            texts.append(self._text(value, (*path, str(key))))
        return texts


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.1f} MiB"


def _constant(value: Any) -> str | None:
    """How a short plain value is written; None for any other."""
    if isinstance(value, PurePath):
        return f"__import__('pathlib').Path({str(value)!r})"
    if isinstance(value, np.generic) and value.dtype.kind in "biufcU":
        plain = value.item()  # of some, such as a long double, Python has none
        text = _constant(plain) if type(plain) in _PLAIN else None
        return None if text is None else f"__import__('numpy').{type(value).__name__}({text})"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.device | torch.dtype):
        is_type = isinstance(value, torch.dtype)
        what = str(value).removeprefix("torch.") if is_type else f"device({str(value)!r})"
        return f"__import__('torch').{what}"
    text = repr(value) if type(value) in _PLAIN else ""
    if isinstance(value, set):  # whose order is another one in each process
        text = f"{{{', '.join(sorted(map(repr, value)))}}}" if value else "set()"
        return text if all(_constant(held) is not None for held in value) else None
    try:
        is_plain = 0 < len(text) <= _LONGEST_CONSTANT and ast.literal_eval(text) == value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return text if is_plain else None


_PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, set, type(None))
