"""What the columns of a table, and the targets of own data, say of the settings."""

from __future__ import annotations

import numpy as np

from spaces.problems import InputError, Problem, shown, unknown_name
from spaces.settings.data_files import (
    Array,
    column_names,
    problems_at,
    read_arrays,
    read_table,
)
from spaces.settings.decimal_commas import decimal_comma_problem
from spaces.settings.own_data import Arrays, Table, Task

MOST_WHOLE_CLASSES = 20


def input_columns(settings: Table) -> list[str]:
    """The columns of the training file that are inputs, in their order.

    Raises:
        InputError: when the file can't be read, a setting names a column that is not there, or no
            column is left.
    """
    file, place = settings.training_file, f"dataset.{settings.training_place}"
    with problems_at(place):
        there = column_names(file)
    named = {
        "target": [settings.target],
        "group": [] if settings.group is None else [settings.group],
        "drop": settings.drop,
        "categories": settings.categories,
    }
    problems = [
        Problem(f"dataset.{field}", f"{file}: {unknown_name('column', name, there)}")
        for field, names in named.items()
        for name in names
        if name not in there
    ]
    if problems:
        raise InputError(problems)
    others = {*named["target"], *named["group"], *named["drop"]}
    if not (inputs := [name for name in there if name not in others]):
        raise InputError([Problem(place, f"{file}: no column is left as input")])
    return inputs


def task_of(settings: Table | Arrays) -> Task:
    """What the target says: texts, true and false, and few whole numbers are classes.

    Whole numbers are few when there are at most ``MOST_WHOLE_CLASSES`` different ones.

    Raises:
        InputError: when the target can't be read.
    """
    if isinstance(settings, Table):
        input_columns(settings)
    with problems_at(f"dataset.{settings.training_place}"):
        if isinstance(settings, Table):
            values = _column_values(settings)
        else:
            values = read_arrays(settings.training_file, ["y"])["y"]
            if values.ndim > 1 and values.shape[1:] != (1,):
                _check_one_hot(values)
                return "regression"
    if values.dtype.kind not in "iuf":
        return "classification"
    different = np.unique(values[np.isfinite(values)])
    is_whole = bool((different == np.round(different)).all())
    return "classification" if is_whole and len(different) <= MOST_WHOLE_CLASSES else "regression"


def whole_classes(settings: Table) -> int:
    """How many classes a table's target has whose values are whole numbers; 0 for any other.

    Raises:
        InputError: when the target can't be read.
    """
    values = _column_values(settings)
    return len(np.unique(values)) if values.dtype.kind in "iuf" else 0


def _check_one_hot(values: Array) -> None:
    """Refuse what is meant as classes.

    Raises:
        InputError: when each sample has one 1 among zeros.
    """
    is_binary = values.dtype.kind in "iufb" and bool(np.isin(values, (0, 1)).all())
    if is_binary and bool((values.sum(axis=-1) == 1).all()):
        raise InputError("y has one 1 for each sample: write y.argmax(1), or say task: regression")


def _column_values(settings: Table) -> Array:
    """The target of a table, without what is missing.

    Raises:
        InputError: when its numbers have been read as texts.
    """
    import pyarrow as pa

    column = read_table(settings.training_file, [settings.target])[settings.target].drop_null()
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: Array = column.to_numpy()
    if (problem := decimal_comma_problem(values)) is not None:
        raise InputError(f"column {shown(settings.target)} {problem}")
    return values
