"""Arrays of inputs: features, and images with their channels wherever they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spaces import InputError
from trainables.data.own.layout import checked_inputs


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 4), (5, 4)),
        ((5, 8, 9), (5, 1, 8, 9)),
        ((5, 3, 8, 9), (5, 3, 8, 9)),
        ((5, 8, 9, 3), (5, 3, 8, 9)),
        ((5, 1, 8, 8), (5, 1, 8, 8)),
        ((5, 8, 8, 4), (5, 4, 8, 8)),
    ],
)
def test_channels_come_first(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).random(shape)
    found = checked_inputs(pixels)
    assert (found.shape, found.dtype) == (expected, np.float32)
    if shape[-1] == expected[1]:  # they stood last
        np.testing.assert_allclose(np.moveaxis(found, 1, -1), pixels, rtol=1e-6)
    else:
        np.testing.assert_allclose(found.reshape(shape), pixels, rtol=1e-6)


def test_bytes_stay_bytes() -> None:
    assert checked_inputs(np.zeros((2, 8, 8), np.uint8)).dtype == np.uint8


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.zeros(5), "of one feature, write x[:, None]"),
        (np.zeros((0, 5)), "got (0, 5)"),
        (np.zeros((5, 3, 9, 3)), "does not tell the channels"),
        (np.zeros((1, 1, 1, 1, 1)), "x must be of the shape"),
        (np.array([["a"]]), "x must hold numbers, got <U1"),
        (np.array([[1.0, np.nan, np.inf]]), "x holds 2 values that are not finite"),
        (np.full((2, 8, 8), 255.0), "images of floats lie in [0, 1], got values from 255 to 255"),
        (np.full((2, 8, 8), np.nan), "images of floats lie in [0, 1]"),
        (np.zeros((2, 8, 8), np.int64), "images are uint8 or floats in [0, 1], got int64"),
    ],
)
def test_what_is_no_input_is_one_message(x: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_inputs(x)
    assert told in str(caught.value)
