"""Search spaces without the rest of an experiment."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from spaces.parameters import Parameter
from spaces.space import SearchSpace


def space_of(parameters: dict[str, Any]) -> SearchSpace:
    """The space of some parameters, as they stand in a file."""
    return SearchSpace(TypeAdapter(dict[str, Parameter]).validate_python(parameters))
