"""Functions that Python code hands over itself, such as those of a notebook's cells.

A file in the run's folder stands for them (``spaces.snapshot``): the journal names it, fingerprints
and bundles have it. While the functions are here, they run, and not what the file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

Function: TypeAlias = Callable[..., Any]


class Given(NamedTuple):
    """A function that was handed over.

    ``take``: gives the function. ``is_at_home``: this process is the one in which it was written.
    """

    take: Callable[[], Function]
    is_at_home: bool


_GIVEN: dict[str, Given] = {}


@contextmanager
def given(functions: Mapping[str, Function]) -> Iterator[None]:
    """Let functions run, meanwhile, where their files are named.

    Args:
        functions: by what stands for them, ``run/code/train.py:train``.
    """
    before = dict(_GIVEN)
    for reference, function in functions.items():
        _GIVEN[reference] = Given(lambda function=function: function, is_at_home=True)  # type: ignore[misc]
    try:
        yield
    finally:
        _GIVEN.clear()
        _GIVEN.update(before)


def receive(reference: str, take: Callable[[], Function]) -> None:
    """Let a function run in this process that another one has sent.

    Args:
        reference: what stands for it here.
        take: unpacks it, once its project is on the path.
    """
    _GIVEN[reference] = Given(take, is_at_home=False)


def given_as(reference: str | None) -> Given | None:
    """What was handed over for a reference, if anything was."""
    return None if reference is None else _GIVEN.get(reference)
