"""The typed base of every section of an experiment file, and how its mistakes are worded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from spaces.problems import InputError, Problem, shown, unknown_name

Rate: TypeAlias = Annotated[float, Field(ge=0.0, lt=1.0)]
Size: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
Location: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f]+$")]  # a folder or a URI

NAMED = {"dataset", "metric", "sampler", "scheduler", "init", "schedule"}


def named(value: Any) -> Any:
    """``he`` is short for ``{name: he}``."""
    return {"name": value} if isinstance(value, str) else value


class Section(BaseModel):
    """A mapping in an experiment file: immutable, strictly typed, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _name_valid_keys(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """Let the error for an unknown key list the valid ones."""
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                error.title, [_reworded(e, cls) for e in error.errors()]
            ) from None


SectionType = TypeVar("SectionType", bound=Section)


def _reworded(error: ErrorDetails, section: type[Section]) -> InitErrorDetails:
    location, received = error["loc"], error["input"]
    if error["type"] == "extra_forbidden" and len(location) == 1:
        message = unknown_name("key", location[0], section.model_fields)
    elif error["type"] in ("model_type", "model_attributes_type"):
        keys = ", ".join(section.model_fields)
        message = f"must be a mapping with some of the keys {keys}, got {shown(received)}"
    else:
        message = broken_rule(error)
    kind = PydanticCustomError("rule", "{message}", {"message": message})
    return InitErrorDetails(type=kind, loc=location, input=received)


def broken_rule(error: ErrorDetails) -> str:
    """The rule that a value breaks, and the value, as all messages say it."""
    rule = _RULES.get(error["type"])
    if rule is None:
        return error["msg"]
    return rule.format(received=shown(error["input"]), **error.get("ctx", {}))


_RULES = {
    "missing": "is required",
    "string_type": "must be a text, got {received}",
    "int_type": "must be a whole number, got {received}",
    "int_parsing": "must be a whole number, got {received}",
    "float_parsing": "must be a number, got {received}",
    "int_from_float": "must be a whole number, got {received}",
    "float_type": "must be a number, got {received}",
    "bool_type": "must be true or false, got {received}",
    "list_type": "must be a list, got {received}",
    "dict_type": "must be a mapping, got {received}",
    "finite_number": "must be a finite number, got {received}",
    "greater_than": "must be above {gt}, got {received}",
    "greater_than_equal": "must be at least {ge}, got {received}",
    "less_than": "must be below {lt}, got {received}",
    "less_than_equal": "must be at most {le}, got {received}",
    "literal_error": "must be {expected}, got {received}",
    "too_short": "needs at least {min_length}, got {received}",
    "too_long": "takes at most {max_length}, got {actual_length}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters, got {received}",
    "string_pattern_mismatch": "must not be empty or hold control characters, got {received}",
    "value_error": "{error}",
}


def problems_of(error: ValidationError, under: Sequence[str | int] = ()) -> list[Problem]:
    """The problems that a pydantic error holds, each with its dotted path below ``under``."""
    return [
        Problem(
            ".".join(str(part) for part in (*under, *details["loc"])),
            details["msg"].removeprefix("Value error, "),
        )
        for details in error.errors()
    ]


def parse_section(
    section: type[SectionType], value: Any, under: Sequence[str | int] = ()
) -> SectionType:
    """Read a section from plain data.

    Args:
        section: the section's type.
        value: what the file holds there.
        under: the path of that place, for messages.

    Raises:
        InputError: with every mistake found.
    """
    try:
        return section.model_validate(value)
    except ValidationError as error:
        raise InputError(problems_of(error, under)) from None
