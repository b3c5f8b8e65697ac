"""The samples of a user's file: inputs, targets and groups, each checked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spaces.problems import InputError, shown
from spaces.settings.data_files import problems_at, read_arrays, read_table
from spaces.settings.decimal_commas import decimal_comma_problem
from spaces.settings.own_data import Arrays, Table
from spaces.settings.targets import input_columns
from trainables.data.own.columns import naming, numbers_of, texts_of
from trainables.data.own.layout import checked_inputs
from trainables.data.own.preparation import Samples, TablePreparation
from trainables.data.sources import Array


def read_samples(
    settings: Table | Arrays, place: str, fitted: TablePreparation | None = None
) -> Samples:
    """Read a file of samples.

    Args:
        settings: the dataset section.
        place: the field that names the file: file, train, validation or test.
        fitted: for a table, what the training split asks for; None: it is the training file.

    Raises:
        InputError: when the file can't be read, lacks something, or a target is missing.
    """
    file = str(getattr(settings, place))
    names = input_columns(settings) if isinstance(settings, Table) and fitted is None else []
    with problems_at(f"dataset.{place}"):
        if isinstance(settings, Table):
            return _read_table(settings, file, names, fitted)
        return _read_arrays(settings, file)


def _read_table(
    settings: Table, file: str, names: list[str], fitted: TablePreparation | None
) -> Samples:
    names = names if fitted is None else fitted.names
    types = {} if fitted is None else fitted.types
    types |= dict.fromkeys(settings.categories, pa.string())
    group = [] if settings.group is None else [settings.group]
    types |= dict.fromkeys(group, pa.string())
    if not settings.is_regression:  # so that each file has the same names of classes
        types[settings.target] = pa.string()
    table = read_table(file, [*names, settings.target, *group], types)
    targets = _targets(table[settings.target], settings.target, settings.is_regression)
    groups = None if not group else _complete_texts(table[group[0]], group[0])
    return Samples(table.select(names), targets, groups)


def _read_arrays(settings: Arrays, file: str) -> Samples:
    group = [] if settings.group is None else [settings.group]
    held = read_arrays(file, ["x", "y", *group])
    inputs, y = checked_inputs(held["x"]), held["y"]
    for name, array in held.items():
        if len(array.shape) == 0 or len(array) != len(inputs):
            shapes = f"x {held['x'].shape} and {name} {array.shape}"
            raise InputError(f"x, y and group need one entry for each sample, got {shapes}", file)
    if settings.is_regression:
        targets = _values(y, file)
    else:
        targets = _targets(_column(y, "y", file), "y", is_regression=False)
    groups = (
        None if not group else _complete_texts(_column(held[group[0]], group[0], file), group[0])
    )
    return Samples(inputs, targets, groups)


def _column(array: Array, name: str, file: str) -> pa.ChunkedArray:
    """An array of one value for each sample, as a column."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        more = "; of classes as 0 and 1, write y.argmax(1)" if name == "y" else ""
        raise InputError(
            f"{name} must hold one value for each sample, got the shape {array.shape}{more}", file
        )
    try:
        return pa.chunked_array([pa.array(array)])
    except pa.ArrowException:
        kind = array.dtype
        raise InputError(f"{name} must hold numbers, texts or booleans, got {kind}", file) from None


def _values(y: Array, file: str) -> Array:
    """The values of a regression, (samples, values) float64."""
    if y.dtype.kind not in "iufb" or y.ndim > 2 or 0 in y.shape:
        what = "must hold numbers of the shape (samples,) or (samples, values)"
        raise InputError(f"y {what}, got {y.dtype} of the shape {y.shape}", file)
    values = y.astype(np.float64).reshape(len(y), -1)
    return _finite(values, "y")


def _targets(column: pa.ChunkedArray, name: str, is_regression: bool) -> Array:
    """The targets, without gaps: (samples,) texts, or (samples, 1) values.

    Raises:
        InputError: when some are missing, or no numbers where these are needed.
    """
    if not is_regression:
        return _complete_texts(column, name)
    if pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
        if (problem := decimal_comma_problem(column.to_pylist())) is not None:
            raise InputError(f"column {shown(name)} {problem}")
        kind = "texts" if pa.types.is_string(column.type) else "true and false"
        raise InputError(f"a regression needs numbers, and {shown(name)} holds {kind}")
    with naming(name):
        numbers = numbers_of(column)
    return _finite(numbers[:, None], name)


def _finite(values: Array, name: str) -> Array:
    if missing := int((~np.isfinite(values)).any(axis=1).sum()):
        raise InputError(_missing(missing, name))
    return values


def _complete_texts(column: pa.ChunkedArray, name: str) -> Array:
    with naming(name):
        texts = texts_of(column)
    if texts.null_count:
        raise InputError(_missing(texts.null_count, name))
    return np.array(texts.to_pylist(), dtype=object)


def _missing(count: int, name: str) -> str:
    rows = "1 row has" if count == 1 else f"{count:,} rows have"
    return f"{rows} no {shown(name)}; take them out of the file, or fill them"
