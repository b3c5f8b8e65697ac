"""People's own data as splits: cut by share, by file, by group; prepared by the training split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spaces import InputError
from spaces.checks import parse_experiment
from spaces.settings.any_dataset import AnyDataset
from tests.support import tables
from trainables.data.splits import Data, joined, load_data, load_test


def table(file: str, **fields: Any) -> AnyDataset:
    return dataset(name="table", file=file, **fields)


def dataset(**fields: Any) -> AnyDataset:
    data = {"name": "x", "dataset": fields, "budget": {"trials": 1}}
    return parse_experiment(data).dataset


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tables.write(tables.wine(), tmp_path_factory.mktemp("wine") / "wine.csv")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tables.write_digits(tmp_path_factory.mktemp("digits") / "digits.npz")


def rows_of(data: Data) -> list[set[bytes]]:
    return [{row.tobytes() for row in split.inputs} for split in (data.train, data.validation)]


def test_a_table_is_cut_by_shares_and_every_sample_is_in_one_split(wine: str) -> None:
    settings = table(wine, target="grower", test=0.25)
    data = load_data(settings, split_seed=0)
    test = load_test(settings, data)
    assert (len(data.train), len(data.validation), len(test)) == (107, 27, 44)
    assert data.class_names == ("barbera", "barolo", "grignolino")
    assert len(set.union(*rows_of(data), {row.tobytes() for row in test.inputs})) == 178


def test_the_test_split_depends_on_no_seed_and_no_subset(wine: str) -> None:
    settings = table(wine, target="grower", test=0.25)
    few = table(wine, target="grower", test=0.25, subset=60)
    one = load_data(settings, split_seed=0)
    expected = load_test(settings, one).targets
    for held, seed in ((settings, 1), (few, 2)):
        assert np.array_equal(load_test(held, load_data(held, seed)).targets, expected)
    assert len(load_data(few, 0).train) + len(load_data(few, 0).validation) == 60


def test_numbers_are_standardised_by_the_training_split_alone(wine: str) -> None:
    data = load_data(table(wine, target="grower"), split_seed=0)
    assert data.own is not None
    assert data.own.table is not None
    first = data.own.table.feature_names.index("alcohol")
    column = data.train.inputs[:, first]
    assert (abs(column.mean()), column.std()) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert abs(data.validation.inputs[:, first].mean()) > 1e-3


def test_parquet_and_csv_give_the_same_data(wine: str, tmp_path: Path) -> None:
    frame = tables.wine()
    frame["colour"] = frame["colour"].astype("category")
    parquet = tables.write(frame, tmp_path / "wine.parquet")
    both = [load_data(table(file, target="grower"), split_seed=0) for file in (wine, parquet)]
    assert both[0].fingerprint == both[1].fingerprint
    assert both[0].spec == both[1].spec


@pytest.mark.parametrize(("sign", "name"), [(";", "a.csv"), ("\t", "a.tsv"), (",", "a.csv.gz")])
def test_other_kinds_of_csv_are_read(sign: str, name: str, wine: str, tmp_path: Path) -> None:
    tables.wine().to_csv(tmp_path / name, index=False, sep=sign)
    found = load_data(table(str(tmp_path / name), target="grower"), split_seed=0)
    assert found.fingerprint == load_data(table(wine, target="grower"), split_seed=0).fingerprint


@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_never_in_two_splits(seed: int, tmp_path: Path) -> None:
    frame = tables.wine().assign(row=np.arange(178.0))
    file = tables.write(frame, tmp_path / "wine.csv")
    settings = table(file, target="grower", group="lot", test=0.3, validation=0.3)
    data = load_data(settings, split_seed=seed)
    test = load_test(settings, data)
    assert data.own is not None
    assert data.own.table is not None
    assert "lot" not in data.own.table.names
    scale = dict(zip(data.own.table.feature_names, data.own.table.scale, strict=True))["row"]
    place = data.own.table.feature_names.index("row")
    splits = (data.train, data.validation, test)
    rows = [np.round(split.inputs[:, place] * scale[1] + scale[0]) for split in splits]
    lots = [{*frame["lot"].to_numpy()[held.astype(int)]} for held in rows]
    assert sum(map(len, rows)) == 178
    assert sum(map(len, lots)) == len(set.union(*lots)) == frame["lot"].nunique()


def test_files_of_their_own_are_the_splits(tmp_path: Path) -> None:
    frame = tables.wine().sample(frac=1, random_state=0)
    parts = {"train": frame[:100], "validation": frame[100:140], "test": frame[140:]}
    files = {name: tables.write(held, tmp_path / f"{name}.csv") for name, held in parts.items()}
    settings = dataset(name="table", target="grower", drop=["lot"], **files)
    data = load_data(settings, split_seed=0)
    assert [len(data.train), len(data.validation)] == [100, 40]
    found = load_test(settings, data)
    names = [data.class_names[number] for number in found.targets]
    assert names == list(parts["test"]["grower"])
    assert np.isfinite(found.inputs).all()


def test_a_group_in_two_files_is_refused(tmp_path: Path) -> None:
    frame = tables.wine()
    parts = {"train": frame[::2], "validation": frame[1::2]}
    files = {name: tables.write(held, tmp_path / f"{name}.csv") for name, held in parts.items()}
    settings = dataset(name="table", target="grower", group="lot", **files)
    with pytest.raises(InputError, match=r"dataset.validation: \d+ groups are in it and in the"):
        load_data(settings, split_seed=0)


def test_a_group_in_the_files_of_validation_and_test_is_refused(tmp_path: Path) -> None:
    frame = tables.wine().sample(frac=1, random_state=0)
    lots = frame["lot"] % 2 == 0
    rest = frame[~lots]
    parts = {"train": frame[lots], "validation": rest[::2], "test": rest[1::2]}
    files = {name: tables.write(held, tmp_path / f"{name}.csv") for name, held in parts.items()}
    settings = dataset(name="table", target="grower", group="lot", **files)
    data = load_data(settings, split_seed=0)
    with pytest.raises(InputError, match=r"dataset.test: \d+ groups are in it and in the valid"):
        load_test(settings, data)


def test_files_whose_numbers_look_different_are_joined_for_a_final_training(tmp_path: Path) -> None:
    whole = pd.DataFrame({"size": [*range(10)], "kind": ["a", "b"] * 5})
    halves = whole.assign(size=whole["size"] + 0.5)
    parts = {"train": whole, "validation": halves}
    files = {name: tables.write(held, tmp_path / f"{name}.csv") for name, held in parts.items()}
    settings = dataset(name="table", target="kind", **files)
    both = joined(settings, load_data(settings, 0), split_seed=0)
    assert len(both.train) == 20
    assert both.train.inputs.mean() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("classes", [["True", "False", "Maybe"], ["01", "02", "1a"]])
def test_a_file_that_lacks_the_odd_class_has_the_same_names_of_the_others(
    classes: list[str], tmp_path: Path
) -> None:
    def frame(kinds: list[str]) -> pd.DataFrame:
        return pd.DataFrame({"size": range(10 * len(kinds)), "kind": kinds * 10})

    parts = {"train": frame(classes), "test": frame(classes[:2])}
    files = {name: tables.write(held, tmp_path / f"{name}.csv") for name, held in parts.items()}
    settings = dataset(name="table", target="kind", **files)
    data = load_data(settings, 0)
    assert set(data.class_names) == set(classes)
    assert len(load_test(settings, data)) == 20


def test_classes_that_are_numbers_are_in_the_order_of_their_size(tmp_path: Path) -> None:
    names = np.array(["10", "9", "nan", "b", "inf"])
    np.savez(tmp_path / "data.npz", x=np.ones((50, 2)), y=np.tile(names, 10))
    data = load_data(dataset(name="arrays", file=str(tmp_path / "data.npz")), split_seed=0)
    assert data.class_names == ("9", "10", "b", "inf", "nan")


def test_a_regression_is_trained_on_standardised_targets(tmp_path: Path) -> None:
    file = tables.write(tables.diabetes(), tmp_path / "diabetes.csv")
    data = load_data(table(file, target="progress"), split_seed=0)
    assert (data.outputs, data.class_names) == (1, ())
    assert data.train.targets.mean() == pytest.approx(0.0, abs=1e-5)
    assert data.train.targets.std() == pytest.approx(1.0, abs=1e-5)
    assert data.own is not None
    assert data.own.target_scale is not None
    values = data.own.target_scale.in_units(data.validation.targets)
    assert {*np.round(values[:, 0])} <= {*tables.diabetes()["progress"]}


def test_training_and_validation_together_are_prepared_anew(wine: str) -> None:
    settings = table(wine, target="grower", test=0.25)
    data = load_data(settings, split_seed=0)
    both = joined(settings, data, split_seed=0)
    assert (len(both.train), len(both.validation)) == (134, 0)
    np.testing.assert_allclose(both.train.inputs[:, 0].mean(), 0.0, atol=1e-6)
    assert both.spec != data.spec


def test_files_of_their_own_are_joined_too(tmp_path: Path) -> None:
    frame = tables.wine()
    parts = {"train": frame[::2], "validation": frame[1::2].drop(columns="lot")}
    files = {name: tables.write(held, tmp_path / f"{name}.parquet") for name, held in parts.items()}
    settings = dataset(name="table", target="grower", drop=["lot"], **files)
    assert len(joined(settings, load_data(settings, 0), split_seed=0).train) == 178


def test_classes_can_be_chosen_in_their_own_order(wine: str) -> None:
    settings = table(wine, target="grower", classes=["grignolino", "barolo"])
    data = load_data(settings, split_seed=0)
    assert data.class_names == ("grignolino", "barolo")
    assert len(data.train) + len(data.validation) == 71 + 59
    with pytest.raises(InputError, match="unknown class 'x'; valid: barbera, barolo, grignolino"):
        load_data(table(wine, target="grower", classes=["barolo", "x"]), split_seed=0)


def test_images_in_arrays_stay_in_0_to_1_and_features_are_standardised(
    digits: str, tmp_path: Path
) -> None:
    images = load_data(dataset(name="arrays", file=digits), split_seed=0)
    assert images.input_shape == (1, 8, 8)
    assert images.class_names == tuple("0123456789")
    assert (images.mean.tolist(), images.std.tolist()) == ([0.0], [1.0])
    held = np.load(digits)
    np.savez(tmp_path / "flat.npz", x=held["x"].reshape(-1, 64), y=held["y"])
    flat = load_data(dataset(name="arrays", file=str(tmp_path / "flat.npz")), split_seed=0)
    np.testing.assert_allclose(flat.mean, flat.train.inputs.mean(axis=0), atol=1e-5)


def test_groups_of_arrays_are_whole_in_a_split(digits: str) -> None:
    settings = dataset(name="arrays", file=digits, group="writer", validation=0.3)
    data = load_data(settings, split_seed=0)
    writers = np.load(digits)["writer"]
    held = zip(np.load(digits)["x"], writers, strict=True)
    writer_of = {image.tobytes(): writer for image, writer in held}
    splits = (data.train, data.validation)
    parts = [{writer_of[image[0].tobytes()] for image in split.inputs} for split in splits]
    assert parts[0] & parts[1] == set()
    assert parts[0] | parts[1] == {*writers}


def test_several_values_are_predicted_together(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.savez(tmp_path / "two.npz", x=x, y=np.column_stack([x[:, 0] * 100, x[:, 1]]))
    data = load_data(dataset(name="arrays", file=str(tmp_path / "two.npz")), split_seed=0)
    assert data.outputs == 2
    np.testing.assert_allclose(data.train.targets.std(axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"grower": "barolo"}, "dataset.file: all samples are of one class, 'barolo'"),
        ({"lot": 1}, "dataset.validation: 178 samples cannot be cut so: all are of one group"),
        ({"lot": [None] * 2 + [1.0] * 176}, "dataset.file: 2 rows have no 'lot'"),
        ({"grower": [None] + ["a", "b", "c"] * 59}, "dataset.file: 1 row has no 'grower'"),
    ],
)
def test_data_that_can_not_be_used_are_one_message(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = tables.write(tables.wine().assign(**change), tmp_path / "wine.csv")
    with pytest.raises(InputError) as caught:
        load_data(table(file, target="grower", group="lot"), split_seed=0)
    assert str(caught.value).startswith(told)


def test_a_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    for name, features in (("train", 3), ("validation", 4)):
        np.savez(tmp_path / f"{name}.npz", x=np.ones((9, features)), y=np.arange(9) % 2)
    files = {name: str(tmp_path / f"{name}.npz") for name in ("train", "validation")}
    with pytest.raises(InputError, match=r"dataset.validation: its samples are"):
        load_data(dataset(name="arrays", **files), split_seed=0)


def test_a_class_that_only_validation_has_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": range(9), "y": ["p", "q", "r"] * 3})
    tables.write(frame[frame["y"] != "r"], tmp_path / "train.csv")
    tables.write(frame, tmp_path / "validation.csv")
    files = {name: str(tmp_path / f"{name}.csv") for name in ("train", "validation")}
    with pytest.raises(InputError, match=r"dataset.validation: unknown class 'r'; valid: p, q"):
        load_data(dataset(name="table", target="y", **files), split_seed=0)
