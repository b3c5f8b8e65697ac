"""Built-in data: shapes, splits that follow from the seed, normalisation, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from spaces import InputError
from spaces.settings.dataset import Dataset
from trainables.data.datasets import read
from trainables.data.sources import SOURCES, Array, Split
from trainables.data.splits import Data, load_data, load_test, shape_of, to_device

CPU = torch.device("cpu")


def dataset(name: str = "digits", **fields: Any) -> Dataset:
    return Dataset.model_validate({"name": name, **fields})


def identities(split: Split) -> set[bytes]:
    """Each sample by its bytes; the digits are all different."""
    return {sample.tobytes() for sample in split.inputs}


def shares(targets: Array) -> Array:
    return np.bincount(targets, minlength=10) / len(targets)


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "outputs"),
    [
        ("digits", (1150, 288, 359), (1, 8, 8), 10),
        ("linear", (24, 6, 30), (1,), 1),
        ("diabetes", (283, 71, 88), (10,), 1),
    ],
)
def test_bundled_data_has_its_known_shape(
    name: str, sizes: tuple[int, ...], shape: tuple[int, ...], outputs: int
) -> None:
    data, test = load_data(dataset(name), split_seed=0), load_test(dataset(name))
    assert (len(data.train), len(data.validation), len(test)) == sizes
    assert (data.input_shape, data.outputs) == shape_of(dataset(name)) == (shape, outputs)


def test_digits_lie_between_0_and_1() -> None:
    inputs = load_data(dataset(), split_seed=0).train.inputs
    assert (inputs.min(), inputs.max(), inputs.dtype) == (0.0, 1.0, np.float32)


def test_train_validation_and_test_share_no_sample() -> None:
    data, test = load_data(dataset(), split_seed=0), load_test(dataset())
    parts = [identities(split) for split in (data.train, data.validation, test)]
    assert len(set.union(*parts)) == 1797


def test_a_split_is_a_function_of_its_seed() -> None:
    first, again, other = (load_data(dataset(), split_seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.train.inputs, again.train.inputs)
    assert identities(first.validation) != identities(other.validation)


def test_the_test_split_does_not_depend_on_the_seed_or_the_subset() -> None:
    assert identities(load_test(dataset())) == identities(load_test(dataset(subset=100)))


@pytest.mark.parametrize("subset", [None, 200])
def test_every_part_keeps_the_proportions_of_the_classes(subset: int | None) -> None:
    whole = shares(read(dataset(), "train")[0].targets)
    data = load_data(dataset(subset=subset), split_seed=0)
    for split in (data.train, data.validation):
        assert np.abs(shares(split.targets) - whole).max() * len(split) <= 1.0


def test_a_subset_is_cut_before_the_validation_split() -> None:
    data = load_data(dataset(subset=200, validation=0.25), split_seed=0)
    assert (len(data.train), len(data.validation)) == (150, 50)


def test_a_subset_larger_than_the_data_is_all_of_it() -> None:
    assert len(load_data(dataset(subset=10**6), split_seed=0).train) == 1150


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subset": 5}, "dataset.subset: 1438 samples cannot be cut so"),
        ({"subset": 100, "validation": 0.01}, "dataset.validation: 100 samples cannot be cut so"),
        ({"classes": ["1", "eleven"]}, "dataset.classes: unknown class 'eleven'; valid: 0, 1, 2"),
        (
            {"normalize": {"mean": [0.1, 0.2], "std": 1.0}},
            "dataset.normalize.mean: needs 1 or 1 numbers, got 2",
        ),
    ],
)
def test_settings_that_do_not_fit_the_data_are_told(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_data(dataset(**fields), split_seed=0)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100"])
def test_data_that_is_not_there_is_told_with_the_place(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # so that no download can work
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        load_data(dataset(name, root=str(tmp_path)), split_seed=0)
    message = str(caught.value)
    assert f"is not in {tmp_path.resolve()} and cannot be downloaded" in message
    assert "; set dataset.root or SHOAL_DATA, or --set" in message


def normalised(data: Data) -> Array:
    inputs, _ = to_device(data.train, data, CPU).batch(slice(None))
    return inputs.numpy()


@pytest.mark.parametrize(
    ("normalize", "mean", "std"),
    [
        ("none", 0.0, 1.0),
        ("signed", 0.5, 0.5),
        ({"mean": 0.3, "std": 0.2}, 0.3, 0.2),
        ({"mean": [0.3], "std": [0.2]}, 0.3, 0.2),
    ],
)
def test_inputs_are_normalised_by_the_constants_asked_for(
    normalize: Any, mean: float, std: float
) -> None:
    data = load_data(dataset(normalize=normalize), split_seed=0)
    np.testing.assert_allclose(normalised(data), (data.train.inputs - mean) / std, atol=1e-5)


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_standard_gives_the_training_split_mean_0_and_deviation_1(name: str) -> None:
    inputs = normalised(load_data(dataset(name, normalize="standard"), split_seed=0))
    axes = (0, *range(2, inputs.ndim))
    np.testing.assert_allclose(inputs.mean(axes), 0.0, atol=1e-4)
    np.testing.assert_allclose(inputs.std(axes), 1.0, atol=1e-4)


def test_standard_takes_its_constants_from_the_training_split_only() -> None:
    data = load_data(dataset(normalize="standard"), split_seed=0)
    everything = read(dataset(), "train")[0].inputs
    assert data.mean[0] == pytest.approx(data.train.inputs.mean(), rel=1e-5)
    assert data.mean[0] != pytest.approx(everything.mean(), rel=1e-5)


def test_bytes_and_floats_normalise_alike() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    targets = np.zeros(4, dtype=np.int64)
    mean, std = np.full(1, 0.5, np.float32), np.full(1, 0.25, np.float32)
    as_bytes, as_floats = (
        normalised(Data(Split(inputs, targets), Split(inputs, targets), ("a",), mean, std))
        for inputs in (pixels, pixels.astype(np.float32) / 255)
    )
    np.testing.assert_allclose(as_bytes, as_floats, atol=1e-5)


def test_classes_are_kept_and_renumbered_in_the_order_given() -> None:
    whole, _ = read(dataset(), "train")
    kept, names = read(dataset(classes=[7, 2]), "train")
    assert names == ("7", "2")
    assert np.array_equal(kept.inputs[kept.targets == 0], whole.inputs[whole.targets == 7])
    assert np.array_equal(kept.inputs[kept.targets == 1], whole.inputs[whole.targets == 2])


def test_every_built_in_dataset_tells_its_shape_without_files() -> None:
    shapes = {name: shape_of(dataset(name)) for name in SOURCES}
    assert shapes["cifar100"] == ((3, 32, 32), 100)
    assert shapes["kmnist"] == ((1, 28, 28), 10)


def test_real_mnist_has_its_known_shape(real_data: Path) -> None:
    mnist = dataset("mnist", root=str(real_data), validation=1 / 6)
    data = load_data(mnist, split_seed=0)
    assert data.train.inputs.shape == (50_000, 1, 28, 28)
    assert data.train.inputs.dtype == np.uint8
    assert (len(data.validation), len(load_test(mnist))) == (10_000, 10_000)


def test_real_mnist_is_found_through_shoal_data(real_data: Path) -> None:
    data = load_data(dataset("mnist", classes=[3, 5], subset=500), split_seed=0)
    assert data.class_names == ("3", "5")
    assert set(data.train.targets) == {0, 1}
    assert len(data.train) + len(data.validation) == 500


def test_the_digits_are_those_of_scikit_learn() -> None:
    """They are read from its file; a new version that keeps them elsewhere fails here."""
    bunch = load_digits()
    halves = [read(Dataset(name="digits"), part)[0] for part in ("train", "test")]
    rows = np.arange(len(bunch.target)) % 5 == 4
    for split, chosen in zip(halves, (~rows, rows), strict=True):
        assert np.array_equal(split.inputs[:, 0] * 16, bunch.images[chosen].astype(np.float32))
        assert np.array_equal(split.targets, bunch.target[chosen])
