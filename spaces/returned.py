"""What a space that is a function draws from, and returns: what a journal can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from spaces.parameters import Params, check_plain, plain_scalar
from spaces.problems import RunError, shown
from spaces.text import MOST_LEVELS


def check_recordable(distributions: Mapping[str, BaseDistribution]) -> None:
    """See that a journal can hold what a function draws from.

    Raises:
        ValueError: when a choice is no text, finite number, true, false or null.
    """
    for name, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            try:
                for choice in distribution.choices:
                    check_value(choice)
            except ValueError as error:
                raise ValueError(f"the choices of {name}: {error}") from None


def check_value(value: Any) -> None:
    """See that a value is one that journals hold and Optuna can compare.

    Raises:
        ValueError: when it is none.
    """
    check_plain(value, levels=1)
    if type(value) is not type(plain_scalar(value)):  # which journals do not tell apart
        raise ValueError(f"must be of Python's own types, got {shown(value)}")
    try:
        float(value if isinstance(value, int) else 0)
    except OverflowError:
        raise ValueError(f"is too large a number: {shown(value)}") from None


def returned_settings(returned: object, params: Params) -> dict[str, Any]:
    """The settings that a function adds to what it drew, as plain data.

    Tuples become lists and NumPy's numbers Python's, as a journal gives them back. What the
    function returns as it drew it is left out.

    Args:
        returned: by the function; None: it adds none.
        params: what it drew.

    Raises:
        RunError: when it is no mapping of plain values, or says otherwise what was drawn.
    """
    if returned is None:
        return {}
    rule = "the function of the space must return None or a mapping of settings"
    if not isinstance(returned, Mapping):
        raise RunError(f"{rule}, got {shown(returned)}")
    try:
        settings = _plain(returned, MOST_LEVELS)
    except ValueError as error:
        raise RunError(f"{rule}; {error}") from None
    for name in settings.keys() & params.keys():
        if settings[name] != params[name]:
            drawn, given = shown(params[name]), shown(settings[name])
            raise RunError(f"the function of the space draws {name} {drawn} and returns {given}")
    return {name: held for name, held in settings.items() if name not in params}


def _plain(value: object, levels: int) -> Any:
    if levels == 0:
        raise ValueError(f"it holds more than {MOST_LEVELS} levels")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the keys of a mapping must be texts, got {shown(key)}")
        return {str(key): _plain(held, levels - 1) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held, levels - 1) for held in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    rule = "it may hold texts, finite numbers, true, false, null, lists and mappings"
    raise ValueError(f"{rule}, got {shown(value)}")
