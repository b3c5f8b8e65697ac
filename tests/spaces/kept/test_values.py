"""Data that a function holds: kept in files beside its source, and read from there."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from spaces.kept import values
from spaces.kept.data_files import data_in
from spaces.kept.snapshot import write_snapshot

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2, 4, 5, 3)).astype(np.float32)
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [0.1, None]}, index=[7, 3])
ITSELF: list[Any] = [IMAGES]
ITSELF.append(ITSELF)


def keep(folder: Path, value: Any, other: Any = None) -> list[str]:
    """Keep a function that uses two values; what is lacking."""

    def train() -> Any:
        return value, other

    return write_snapshot(train, folder / "given_train.py")


def read(folder: Path) -> Any:
    """What the kept function returns."""
    return runpy.run_path(str(folder / "given_train.py"))["train"]()


def kept(folder: Path, value: Any) -> Any:
    """A value as the kept source has it."""
    assert keep(folder, value) == []
    return read(folder)[0]


def described(value: Any) -> Any:
    """All that must not change of a value, to be compared with ``==``."""
    if isinstance(value, list | tuple):
        return type(value), [described(held) for held in value]
    if isinstance(value, dict):
        return type(value), [(key, described(held)) for key, held in value.items()]
    if isinstance(value, np.ndarray | np.generic):
        layout = value.strides if value.size else None
        return type(value), value.dtype.str, value.shape, layout, value.tobytes()
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.stride(), value.reshape(-1).tolist()
    return type(value), repr(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3),
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.array(["2026-01-01"], "datetime64[D]"),
        np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
        np.arange(3, dtype=">i4"),
        np.zeros((0, 3)),
        np.array(4.5),
        np.float32(0.1),
        np.float64("nan"),
        np.longdouble(1) / 3,
        np.datetime64("2026-01-01", "ns"),
        IMAGES.transpose(0, 3, 1, 2),
        np.asfortranarray(IMAGES),
        torch.arange(6).reshape(2, 3),
        torch.rand(3).to(torch.bfloat16),
        torch.tensor(1.5),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
        torch.view_as_complex(torch.rand(3, 2)).conj(),
        torch.from_numpy(IMAGES).permute(0, 3, 1, 2),
        torch.from_numpy(IMAGES).to(memory_format=torch.channels_last),
        {"train": IMAGES, "test": (torch.ones(2), {"labels": [np.arange(2), None]})},
        (IMAGES,),
        {0: IMAGES, (1, "a"): []},
        Bunch(x=IMAGES, names=["a", "b"]),
        Bunch(x=1),
        "text " * 3000,
        [f"a text 'of' {number} ü" for number in range(2000)],
        {"weights": [0.1, float("nan"), -0.0] * 2000, "none": None, "yes": True},
    ],
)
def test_data_comes_back_as_it_was(tmp_path: Path, value: Any) -> None:
    assert described(kept(tmp_path, value)) == described(value)


@pytest.mark.parametrize(
    "value",
    [
        *(np.float32(0.1), np.int8(-3), np.bool_(True), np.complex64(1 - 2j), np.str_("a'b")),
        *(torch.device("cuda:1"), torch.bfloat16),
    ],
)
def test_a_single_value_of_a_library_needs_no_file(tmp_path: Path, value: Any) -> None:
    assert described(kept(tmp_path, [value])) == described([value])
    assert data_in(tmp_path) == set()


def test_a_dataset_of_scikit_learn_is_kept(tmp_path: Path) -> None:
    digits = load_digits()
    found = kept(tmp_path, digits)
    assert [*found] == [*digits]
    assert np.array_equal(found.images, digits.images)
    assert np.array_equal(found.target, digits.target)
    assert found.DESCR == digits.DESCR


@pytest.mark.parametrize(
    "table",
    [
        FRAME,
        FRAME["c"],
        pd.Series([1, 2]),
        pd.DataFrame({0: [1], 1: [2]}),
        pd.DataFrame({"a": pd.Categorical(["x", "y"], ordered=True)}),
        pd.DataFrame({"a": [1.0]}, index=pd.date_range("2026-01-01", periods=1)),
    ],
)
def test_a_table_comes_back_as_it_was(tmp_path: Path, table: Any) -> None:
    found = kept(tmp_path, table)
    assert type(found) is type(table)
    is_frame = isinstance(table, pd.DataFrame)
    same = pd.testing.assert_frame_equal if is_frame else pd.testing.assert_series_equal
    same(found, table, check_exact=True, check_freq=False)


def test_a_memory_map_is_kept_as_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    found = kept(tmp_path / "code", np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert described(found) == described(IMAGES)


def test_what_has_two_names_is_written_and_read_once(tmp_path: Path) -> None:
    assert keep(tmp_path, IMAGES, {"same": IMAGES}) == []
    assert len(data_in(tmp_path)) == 1
    one, two = read(tmp_path)
    assert two["same"] is one


def test_equal_data_of_two_names_stays_two(tmp_path: Path) -> None:
    assert keep(tmp_path, np.zeros(3), np.zeros(3)) == []
    one, two = read(tmp_path)
    one += 1
    assert two.tolist() == [0, 0, 0]


def test_kept_data_is_named_by_its_place_and_its_content(tmp_path: Path) -> None:
    assert keep(tmp_path, {"a/b": np.zeros(3)}) == []
    (first,) = data_in(tmp_path)
    assert first.name.startswith("value.a_b-")
    assert keep(tmp_path, {"a/b": np.zeros(3)}) == []
    assert data_in(tmp_path) == {first}
    assert keep(tmp_path, {"a/b": np.ones(3)}) == []
    assert len(data_in(tmp_path) - {first}) == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([None]), "value (an array of objects)"),
        (np.array([(None,)], [("a", "O")]), "value (an array of objects)"),
        (np.ones(2, ml_dtypes.bfloat16), "value (an array of bfloat16)"),
        (np.ma.masked_array([1]), "value (of type MaskedArray)"),
        (torch.zeros(2, requires_grad=True), "value (a tensor that requires a gradient)"),
        (torch.nn.Parameter(torch.zeros(2)), "value (of type Parameter)"),
        (torch.zeros(2, device="meta"), "value (a tensor on meta, not on the CPU)"),
        (torch.eye(2).to_sparse(), "value (a tensor that is sparse, nested or quantized)"),
        (torch.zeros(2, dtype=torch.complex128), "value (a tensor of torch.complex128)"),
        (pd.DataFrame({"a": [1, "x"]}), "value (a table that would not come back from Parquet"),
        (pd.DataFrame({"a": [[1], [2]]}), "value (a table that would not come back from Parquet"),
        (pd.DataFrame({"a": [2**70]}), "value (a table that would not come back from Parquet as"),
        (pd.Series([1], name=(1, 2)), "value (a series with the name (1, 2))"),
        (torch.nn.Linear(1, 1), "value (of type Linear)"),
        ({"x": IMAGES, "y": [1, object()]}, "value (with value.y.1, of type object)"),
        ({"\x1b" * 999: object()}, r"… (4002 characters), of type object)"),
        ({"x": {frozenset(): IMAGES}}, "value (with value.x, a dict with keys that are no plain"),
        ([np.zeros(1)] * 1001, "value (of more than 1,000 parts)"),
        (ITSELF, ", of more than 20 levels; it may hold itself)"),
    ],
)
def test_what_cannot_be_kept_is_named_and_leaves_no_file(
    tmp_path: Path, value: Any, reason: str
) -> None:
    (lacking,) = keep(tmp_path, value)
    assert reason in lacking
    assert data_in(tmp_path) == set()
    with pytest.raises(ImportError, match="used by the code, but only in the program that"):
        read(tmp_path)


def test_a_name_of_the_kept_source_itself_is_not_mixed_up(tmp_path: Path) -> None:
    _kept_data = IMAGES

    def train() -> Any:
        return _kept_data

    file = tmp_path / "given_train.py"
    assert write_snapshot(train, file) == ["_kept_data (two things of this name)"]


def test_too_much_data_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_BYTES", 3 * 2**19)
    small, large = np.zeros(2**16), np.zeros(2**17)  # of 0.5 and 1 MiB
    assert keep(tmp_path, small, large) == []
    most = "at most 1.5 MiB of data are kept with a function"
    assert keep(tmp_path, np.ones(2**17), large) == [f"value (of 1.0 MiB; {most})"]
    assert keep(tmp_path, small, [large, np.ones(2**17)]) == [
        f"other (with other.1, of 1.0 MiB; {most})"
    ]


def test_data_that_is_gone_is_an_error_with_its_name(tmp_path: Path) -> None:
    assert keep(tmp_path, IMAGES) == []
    (file,) = data_in(tmp_path)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=file.name):
        read(tmp_path)


def test_a_pickle_in_the_place_of_data_is_not_read(tmp_path: Path) -> None:
    assert keep(tmp_path, IMAGES) == []
    (file,) = data_in(tmp_path)
    np.save(file, np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read(tmp_path)
