"""Columns of a table as features: what each kind becomes, and which are refused."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from spaces import InputError
from tests.support import tables
from trainables.data.own.preparation import TablePreparation, fit_table


def fit(categories: tuple[str, ...] = (), **columns: Any) -> TablePreparation:
    return fit_table(pa.table(columns), "y", list(categories))


def features(fitted: TablePreparation, **columns: Any) -> list[list[float]]:
    found: list[list[float]] = fitted.features(pa.table(columns)).tolist()
    return found


def test_numbers_and_categories_are_as_those_of_scikit_learn() -> None:
    frame = tables.wine().dropna()
    chosen = frame[["alcohol", "proline", "colour"]]
    table = pa.Table.from_pandas(chosen, preserve_index=False)
    found = fit_table(table, "y", []).features(table)
    numbers = StandardScaler().fit_transform(chosen[["alcohol", "proline"]])
    categories = OneHotEncoder(sparse_output=False).fit_transform(chosen[["colour"]])
    np.testing.assert_allclose(found, np.hstack([numbers, categories]), atol=1e-6)


def test_a_missing_number_counts_as_the_mean_and_is_marked() -> None:
    fitted = fit(a=[1.0, 3.0, None])
    assert fitted.feature_names == ["a", "a is missing"]
    assert features(fitted, a=[1.0, 3.0, None]) == [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_what_parquet_has_as_nan_is_missing() -> None:
    fitted = fit(a=pa.array([1.0, 3.0, np.nan], from_pandas=False))
    assert features(fitted, a=[np.nan]) == [[0.0, 1.0]]


def test_where_nothing_is_missing_there_is_no_mark_and_a_gap_is_noted() -> None:
    fitted = fit(a=[1.0, 3.0], b=["x", "y"], c=[True, False])
    gaps = pa.table({"a": [None, 2.0], "b": ["z", "x"], "c": [None, True]})
    assert fitted.features(gaps).tolist() == [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]]
    assert fitted.notes(gaps) == [
        "column 'a': 1 missing, which count as the mean; the training data had none missing",
        "column 'b': 1 of categories that the training data had not, such as 'z'",
        "column 'c': 1 missing, which count as false; the training data had none missing",
    ]


def test_a_missing_category_is_marked_and_an_unseen_one_is_none_of_them() -> None:
    fitted = fit(b=["x", None, "y"])
    assert fitted.feature_names == ["b = x", "b = y", "b is missing"]
    assert features(fitted, b=["y", None, "z"]) == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_booleans_are_0_and_1() -> None:
    assert features(fit(c=[True, False]), c=[True, False]) == [[1.0], [0.0]]


@pytest.mark.parametrize(
    "asked", [[1, 2], [1.0, 2.0], ["1", "2"], ["1.0", "2.0"]], ids=["int", "float", "text", "csv"]
)
def test_numbers_that_are_names_are_the_same_whatever_their_type(asked: list[Any]) -> None:
    fitted = fit(("z",), z=[2, 1, 1])
    assert fitted.feature_names == ["z = 1", "z = 2"]
    assert features(fitted, z=asked) == [[1, 0], [0, 1]]


@pytest.mark.parametrize("value", [5.0, 0.1, 1e300, 0.0])
def test_a_constant_column_does_no_harm(value: float) -> None:
    fitted = fit(a=[value] * 7)
    assert features(fitted, a=[value]) == [[0.0]]


def test_numbers_may_be_as_large_or_as_far_off_as_floats_are() -> None:
    far, large = [1e15, 1e15 + 2], [-1e308, 1e308]
    fitted = fit(far=far, large=large)
    assert features(fitted, far=far, large=large) == [[-1.0, -1.0], [1.0, 1.0]]


def test_the_preparation_is_the_same_after_json() -> None:
    columns = {"a": [0.1, None, 1 / 3], "b": ["x", "ü", None], "c": [True, None, False]}
    fitted = fit(**columns)
    again = TablePreparation.model_validate_json(fitted.model_dump_json())
    assert again == fitted
    assert features(again, **columns) == features(fitted, **columns)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([None, None], "is all missing in the training split; leave it out (drop: [a])"),
        ([np.nan, np.nan], "is all missing in the training split; leave it out (drop: [a])"),
        (
            [f"id{n}" for n in range(101)],
            "has 101 different texts in the training split, and",
        ),
        (["x" * 101, "y"], "has a text of more than 100 characters, which is no category"),
        ([datetime.date(2020, 1, 1)], "holds dates or times; make numbers of them"),
        ([[1], [2]], "holds list<item: int64>, neither numbers nor texts nor booleans"),
        ([np.inf, 1.0], "holds 1 infinite numbers"),
    ],
)
def test_a_column_that_can_not_be_used_is_said_by_name(values: list[Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(a=pa.array(values, from_pandas=False))
    assert str(caught.value).startswith(f"column 'a' {told}")


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([np.nan, np.nan], from_pandas=False), "is all missing in the training split"),
        (pa.array([b"\xff\xfe", b"a"]), "must hold texts: Invalid UTF8"),
    ],
)
def test_categories_that_are_none_are_said_by_name(column: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(("a",), a=column)
    assert str(caught.value).startswith(f"column 'a' {told}")


def test_a_category_that_is_nan_is_marked_as_missing() -> None:
    column = pa.array([1.0, np.nan, 2.0], from_pandas=False)
    assert features(fit(("a",), a=column), a=column) == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_all_columns_that_can_not_be_used_are_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        fit(a=[None], b=[1.0], c=[datetime.datetime(2020, 1, 1)])
    assert [str(problem).split()[1] for problem in caught.value.problems] == ["'a'", "'c'"]


def test_texts_where_numbers_were_are_said() -> None:
    with pytest.raises(InputError, match="column 'a' must hold numbers: Failed to parse"):
        features(fit(a=[1.0]), a=["one"])
