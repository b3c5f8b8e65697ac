"""``AnyDataset``: the section that a dataset's name asks for; what own data leave to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import PlainValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from spaces.problems import InputError, Problem, unknown_name
from spaces.sections import named
from spaces.settings.dataset import Dataset
from spaces.settings.own_data import FILES, Arrays, OwnData, Table
from spaces.settings.targets import task_of

_OWN: dict[str, type[Table] | type[Arrays]] = {"table": Table, "arrays": Arrays}
_BUILT_IN = get_args(Dataset.model_fields["name"].annotation)


def _parse_dataset(value: Any) -> Dataset | Table | Arrays:
    """The section that the name asks for; of own data whose task is left out, the target tells."""
    value = named(value)
    if isinstance(value, Dataset):
        return value
    name = value.get("name") if isinstance(value, Mapping) else None
    if isinstance(value, Table | Arrays):
        own: Table | Arrays = value
    elif isinstance(name, str) and name in _OWN:
        own = _OWN[name].model_validate(value)
    elif isinstance(name, str) and name not in _BUILT_IN:
        raise _refused([Problem("name", unknown_name("dataset", name, [*_BUILT_IN, *_OWN]))])
    else:
        return Dataset.model_validate(value)
    if own.task is not None:
        return own
    try:
        told = own.model_copy(update={"task": task_of(own)})
    except InputError as error:
        raise _refused(error.problems) from None
    told.check_task()
    return told


AnyDataset: TypeAlias = Annotated[
    SerializeAsAny[Dataset | Table | Arrays], PlainValidator(_parse_dataset)
]


def _refused(problems: tuple[Problem, ...] | list[Problem]) -> ValidationError:
    """Problems as pydantic has them, each at its own place."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("rule", "{message}", {"message": problem.message}),
            loc=(problem.path.removeprefix("dataset."),),
            input=None,
        )
        for problem in problems
    ]
    return ValidationError.from_exception_data("dataset", details)


def file_fields(dataset: Dataset | Table | Arrays) -> list[str]:
    """The fields that say where the data lie, which is no part of what they are."""
    if not isinstance(dataset, OwnData):
        return ["root"]
    return [name for name in FILES if isinstance(getattr(dataset, name), str)]
