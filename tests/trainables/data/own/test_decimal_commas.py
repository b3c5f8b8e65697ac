"""Numbers with a decimal comma, and targets with too many classes, are named as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaces import InputError
from spaces.checks import parse_experiment
from spaces.settings.decimal_commas import decimal_comma_problem
from trainables.data.splits import load_data

ROWS = 120


def load(folder: Path, prices: list[str], rooms: list[str], **dataset: Any) -> None:
    file = folder / "houses.csv"
    lines = [
        f"{price};{held};{n}" for n, (price, held) in enumerate(zip(prices, rooms, strict=True))
    ]
    file.write_text("\n".join(["price;rooms;size", *lines]))
    data = {"name": "table", "file": str(file), "target": "price", **dataset}
    made = parse_experiment({"name": "x", "dataset": data, "budget": {"trials": 1}})
    load_data(made.dataset, split_seed=0)


def message(*arguments: Any, **dataset: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(*arguments, **dataset)
    return str(caught.value)


WITH_COMMA = [f"{n}50,{n % 10}" for n in range(ROWS)]
WITH_POINT = [f"{n}50.{n % 10}" for n in range(ROWS)]
ROOMS = [str(n % 5) for n in range(ROWS)]


@pytest.mark.parametrize("settings", [{}, {"task": "regression"}])
def test_a_target_with_decimal_commas_is_named(settings: dict[str, str], tmp_path: Path) -> None:
    told = message(tmp_path, WITH_COMMA, ROOMS, **settings)
    assert "dataset.file: column 'price' holds numbers with a decimal comma" in told
    assert "such as '050,0'; write them with a point" in told
    assert len(told) < 300


@pytest.mark.parametrize("rooms", [WITH_COMMA, ["1,5", "2,0", "3,5"] * 40])
def test_an_input_with_decimal_commas_is_named_and_not_left_out(
    rooms: list[str], tmp_path: Path
) -> None:
    told = message(tmp_path, WITH_POINT, rooms)
    assert "column 'rooms' holds numbers with a decimal comma" in told
    assert "drop" not in told


def test_a_column_that_is_said_to_be_of_categories_may_look_like_numbers(tmp_path: Path) -> None:
    load(tmp_path, WITH_POINT, ["1,5", "2,0", "3,5"] * 40, categories=["rooms"])


def test_a_target_that_would_be_too_many_classes_is_one_short_message(tmp_path: Path) -> None:
    told = message(tmp_path, [f"house {n}" for n in range(ROWS)], ROOMS)
    assert "'price' has 120 different values in 120 samples, each of which would be a class" in told
    assert len(told) < 300


def test_the_classes_of_a_target_with_single_samples_are_not_listed(tmp_path: Path) -> None:
    houses = [f"house {n // 3}" for n in range(ROWS - 2)] + ["first", "second"]
    told = message(tmp_path, houses, ROOMS, validation=0.01)
    assert "cannot be cut so" in told
    assert len(told) < 400


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["a", "b"],
        ["1,5", "a", "b"],
        ["1, 2", "3, 4"],
        ["1,2,3", "4,5,6"],
        [None, np.nan, 1.5],
        ["12.5", "13.5"],
    ],
)
def test_other_texts_are_left_alone(texts: list[Any]) -> None:
    assert decimal_comma_problem(texts) is None


@pytest.mark.parametrize("text", ["703550,0", "-1,5", "+,5", "1.234,5", "1 234,5", " 1,5 "])
def test_numbers_are_recognised_however_they_are_written(text: str) -> None:
    assert repr(text) in str(decimal_comma_problem([text, None, text]))
