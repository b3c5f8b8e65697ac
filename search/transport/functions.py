"""Functions that the driver's program has handed over, packed for Ray's workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray import cloudpickle

from spaces.given import Packed, given_as
from spaces.kept.snapshot import home_of
from spaces.problems import InputError, Problem


def packed(reference: str | None) -> dict[str, Packed]:
    """The function that stands behind a reference, packed by value; none where a file has it.

    Args:
        reference: to own code.

    Raises:
        InputError: when it uses something that can't be sent to another process.
    """
    handed = given_as(reference)
    if reference is None or handed is None:
        return {}
    function = handed.take()
    try:
        with _its_module_by_value(function):
            pickled = cloudpickle.dumps(function)
    except Exception as error:  # whatever the objects raise that it uses
        what = f"{function.__name__} can't be sent to the processes of Ray: {error}"
        mend = "make what it uses inside of it, or choose engine: inline, which trains here"
        raise InputError([Problem("trainable", f"{what}; {mend}")]) from None
    path = tuple(os.path.abspath(place) for place in sys.path)
    return {reference: Packed(pickled, str(home_of(function)), path)}


@contextmanager
def _its_module_by_value(function: Any) -> Iterator[None]:
    """The module of a function that stands in another one may not be found by the workers."""
    module = sys.modules.get(function.__module__)
    if (
        module is None
        or function.__module__ == "__main__"
        or "<locals>" not in function.__qualname__
    ):
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)
