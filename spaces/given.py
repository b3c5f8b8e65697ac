"""Functions that Python code hands over itself, such as those of a notebook's cells.

A file in the run's folder stands for them (``spaces.kept.snapshot``): the journal names it,
fingerprints and bundles have it. While the functions are here, they run, and not what the file
holds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

Function: TypeAlias = Callable[..., Any]


class Given(NamedTuple):
    """A function that was handed over.

    ``take``: gives the function. ``home``: the folder from which it imports the user's modules;
    None: from beside the file that stands for it. ``is_at_home``: this process is the one in which
    it was written.
    """

    take: Callable[[], Function]
    home: str | None
    is_at_home: bool


class Packed(NamedTuple):
    """A function on its way to another process.

    ``pickled``: by value. ``home``: as in ``Given``. ``path``: where modules are found there.
    """

    pickled: bytes
    home: str
    path: tuple[str, ...]


_GIVEN: dict[str, Given] = {}


@contextmanager
def given(functions: Mapping[str, Function]) -> Iterator[None]:
    """Let functions run, meanwhile, where their files are named.

    Args:
        functions: by what stands for them, ``run/code/train.py:train``.
    """
    for reference, function in functions.items():
        _GIVEN[reference] = Given(functools.partial(_itself, function), None, is_at_home=True)
    try:
        yield
    finally:
        for reference in functions:
            _GIVEN.pop(reference, None)


def _itself(function: Function) -> Function:
    return function


def receive(reference: str, take: Callable[[], Function], home: str | None) -> None:
    """Let a function run in this process that another one has sent.

    Args:
        reference: what stands for it here.
        take: unpacks it, once its project is on the path.
        home: as in ``Given``.
    """
    _GIVEN[reference] = Given(take, home, is_at_home=False)


def given_as(reference: str | None) -> Given | None:
    """What was handed over for a reference, if anything was."""
    return None if reference is None else _GIVEN.get(reference)
