"""A number of a journal: null in JSON where it is not finite, NaN once it is read."""

from __future__ import annotations

import math
from typing import Annotated, TypeAlias

from pydantic import GetPydanticSchema
from pydantic_core import CoreSchema
from pydantic_core.core_schema import (
    no_info_after_validator_function,
    none_schema,
    simple_ser_schema,
    union_schema,
)


def _number_schema(float_schema: CoreSchema) -> CoreSchema:
    """A float for which null stands where it is NaN; no Python code runs for any other value."""
    nan = no_info_after_validator_function(lambda _: math.nan, none_schema())
    return union_schema(
        [float_schema, nan],
        mode="left_to_right",
        custom_error_type="float_type",
        serialization=simple_ser_schema("float"),
    )


Number: TypeAlias = Annotated[
    float, GetPydanticSchema(lambda _, schema_of: _number_schema(schema_of(float)))
]
