"""Columns of a table as features of a model: what each becomes, fitted and applied."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from spaces.problems import InputError, printable, shown
from spaces.sections import Section
from spaces.settings.decimal_commas import decimal_comma_problem
from trainables.data.sources import Array

MOST_CATEGORIES = 100
LONGEST_CATEGORY = 100  # characters
LONGEST_NAME = 200

Name: TypeAlias = Annotated[str, Field(max_length=LONGEST_NAME)]
Category: TypeAlias = Annotated[str, Field(max_length=LONGEST_CATEGORY)]


class _Column(Section):
    """What all kinds of columns have in common.

    ``marks_missing``: a further feature is 1 where the value is missing, else 0.
    """

    name: Name
    marks_missing: bool

    def with_missing(self, values: Array, missing: Array) -> Array:
        """The features with the one for missing values, if there is one."""
        return np.column_stack([values, missing]) if self.marks_missing else values

    @property
    def missing_feature(self) -> list[str]:
        return [f"{self.name} is missing"] if self.marks_missing else []


class NumberColumn(_Column):
    """Numbers become ``(value - mean) / std``; a missing one counts as the mean."""

    kind: Literal["number"] = "number"
    mean: float
    std: Annotated[float, Field(gt=0)]

    @property
    def features(self) -> list[str]:
        return [self.name, *self.missing_feature]

    @property
    def scale(self) -> list[tuple[float, float]]:
        """Mean and deviation of each feature."""
        return [(self.mean, self.std), *((0.0, 1.0) for _ in self.missing_feature)]

    @property
    def type(self) -> pa.DataType:
        """As what a CSV file's texts are read."""
        return pa.float64()

    def raw(self, column: pa.ChunkedArray) -> Array:
        """The features before they are scaled, (rows, features) float64."""
        values = numbers_of(column)
        missing = np.isnan(values)
        return self.with_missing(np.where(missing, self.mean, values)[:, None], missing)

    def note(self, column: pa.ChunkedArray) -> str | None:
        """What a model can't know that was trained without it."""
        count = int(np.isnan(numbers_of(column)).sum())
        if self.marks_missing or not count:
            return None
        return f"{count} missing, which count as the mean; the training data had none missing"


class BooleanColumn(_Column):
    """False becomes 0, true 1; a missing one 0."""

    kind: Literal["boolean"] = "boolean"

    @property
    def features(self) -> list[str]:
        return [self.name, *self.missing_feature]

    @property
    def scale(self) -> list[tuple[float, float]]:
        """Mean and deviation of each feature."""
        return [(0.0, 1.0) for _ in self.features]

    @property
    def type(self) -> pa.DataType:
        """As what a CSV file's texts are read."""
        return pa.bool_()

    def raw(self, column: pa.ChunkedArray) -> Array:
        """The features before they are scaled, (rows, features) float64."""
        values = _cast(column, pa.bool_(), "true or false")
        filled = pc.fill_null(values, False).to_numpy().astype(np.float64)
        return self.with_missing(filled[:, None], _is_missing(values))

    def note(self, column: pa.ChunkedArray) -> str | None:
        """What a model can't know that was trained without it."""
        count = column.null_count
        if self.marks_missing or not count:
            return None
        return f"{count} missing, which count as false; the training data had none missing"


class CategoryColumn(_Column):
    """A feature for each category: 1 where the value is that one, else 0.

    A category that the training split had not, and a missing one, has 0 in all of them.
    """

    kind: Literal["category"] = "category"
    categories: Annotated[list[Category], Field(min_length=1, max_length=MOST_CATEGORIES)]

    @property
    def features(self) -> list[str]:
        return [*(f"{self.name} = {value}" for value in self.categories), *self.missing_feature]

    @property
    def scale(self) -> list[tuple[float, float]]:
        """Mean and deviation of each feature."""
        return [(0.0, 1.0) for _ in self.features]

    @property
    def type(self) -> pa.DataType:
        """As what a CSV file's texts are read."""
        return pa.string()

    def raw(self, column: pa.ChunkedArray) -> Array:
        """The features before they are scaled, (rows, features) float64."""
        texts = texts_of(column)
        return self.with_missing(self._one_hot(texts), _is_missing(texts))

    def note(self, column: pa.ChunkedArray) -> str | None:
        """What a model can't know that was trained without it."""
        texts = texts_of(column)
        rows = ~self._one_hot(texts).any(axis=1) & ~_is_missing(texts)
        if rows.any():
            first = shown(texts[int(rows.argmax())].as_py())
            return f"{rows.sum()} of categories that the training data had not, such as {first}"
        if not self.marks_missing and texts.null_count:
            return f"{texts.null_count} missing; the training data had none missing"
        return None

    def _one_hot(self, texts: pa.ChunkedArray) -> Array:
        places = pc.index_in(texts, pa.array(self.categories, pa.string()), skip_nulls=True)
        held = pc.fill_null(places, -1).to_numpy()
        one_hot: Array = (held[:, None] == np.arange(len(self.categories))).astype(np.float64)
        return one_hot


Column: TypeAlias = Annotated[
    NumberColumn | BooleanColumn | CategoryColumn, Field(discriminator="kind")
]


@contextmanager
def naming(name: str) -> Iterator[None]:
    """What is wrong with a column is said with its name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"column {shown(name)} {error}") from None


def fit_column(name: str, column: pa.ChunkedArray, is_category: bool) -> Column:
    """What a column becomes, as its values in the training split tell.

    Args:
        name: the column's.
        column: its values.
        is_category: its numbers are names.

    Raises:
        InputError: when it can't become features; it says what to do.
    """
    kind = column.type
    if len(name) > LONGEST_NAME:
        raise InputError(f"has a name of more than {LONGEST_NAME} characters; give it a short one")
    if column.null_count == len(column):
        raise InputError(f"is all missing in the training split; {_leave_out(name)}")
    marks_missing = column.null_count > 0
    if is_category or _holds_texts(kind):
        texts = texts_of(column)
        if not is_category and (problem := decimal_comma_problem(texts.to_pylist())) is not None:
            raise InputError(problem)
        if texts.null_count == len(texts):  # NaN is missing, too
            raise InputError(f"is all missing in the training split; {_leave_out(name)}")
        return _fit_category(name, texts)
    if pa.types.is_boolean(kind):
        return BooleanColumn(name=name, marks_missing=marks_missing)
    if _holds_numbers(kind):
        values = numbers_of(column)
        missing = np.isnan(values)
        if missing.all():
            raise InputError(f"is all missing in the training split; {_leave_out(name)}")
        mean, std = moments(values[~missing])
        return NumberColumn(name=name, marks_missing=bool(missing.any()), mean=mean, std=std)
    if pa.types.is_temporal(kind):
        raise InputError(
            "holds dates or times; make numbers of them, such as the days since one, or "
            f"{_leave_out(name)}"
        )
    raise InputError(f"holds {kind}, neither numbers nor texts nor booleans; {_leave_out(name)}")


def _fit_category(name: str, texts: pa.ChunkedArray) -> CategoryColumn:
    values = sorted(text for text in pc.unique(texts).to_pylist() if text is not None)
    if len(values) > MOST_CATEGORIES:
        raise InputError(
            f"has {len(values):,} different texts in the training split, and a category at most "
            f"{MOST_CATEGORIES}; {_leave_out(name)}"
        )
    if any(len(value) > LONGEST_CATEGORY for value in values):
        raise InputError(
            f"has a text of more than {LONGEST_CATEGORY} characters, which is no category; "
            f"{_leave_out(name)}"
        )
    return CategoryColumn(name=name, marks_missing=texts.null_count > 0, categories=values)


def _leave_out(name: str) -> str:
    return f"leave it out (drop: [{printable(name)}])"


def moments(values: Array) -> tuple[float, float]:
    """Mean and deviation of numbers as large as they may be; of equal ones the deviation is 1."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 1.0
    unit = 2.0 ** (math.frexp(max(abs(low), abs(high)))[1] - 1)  # dividing by it is exact
    parts = values / unit
    mean, std = float(parts.mean()) * unit, float(parts.std()) * unit
    return mean, std if std > 0.0 else 1.0


def numbers_of(column: pa.ChunkedArray) -> Array:
    """The numbers of a column, float64; NaN where they are missing.

    Raises:
        InputError: when they are none, or infinite.
    """
    numbers = _cast(column, pa.float64(), "numbers")
    values: Array = pc.fill_null(numbers, np.nan).to_numpy()
    if infinite := int(np.isinf(values).sum()):
        raise InputError(f"holds {infinite:,} infinite numbers; mend the file")
    return values


def texts_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values of a column as texts; a whole number is one text, whatever its type.

    Raises:
        InputError: when they can't be written as texts.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return texts_of(column.cast(kind.value_type))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        texts = [_number_text(value) for value in column.cast(pa.float64()).to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    texts = _cast(column, pa.string(), "texts")
    return pc.replace_substring_regex(texts, r"^(-?\d+)\.0+$", r"\1")


def _number_text(value: float | None) -> str | None:
    if value is None or np.isnan(value):
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def _is_missing(column: pa.ChunkedArray) -> Array:
    missing: Array = pc.is_null(column).to_numpy()
    return missing


def _holds_texts(kind: pa.DataType) -> bool:
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_text or pa.types.is_dictionary(kind))


def _holds_numbers(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _cast(column: pa.ChunkedArray, kind: Any, what: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind, safe=pa.types.is_string(kind))  # bytes need not be a text
    except pa.ArrowException as error:
        reason = " ".join(str(error).split())
        raise InputError(f"must hold {what}: {reason}") from None
