"""A user's own folders of images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from spaces import InputError
from spaces.settings import Dataset
from trainables.data import load_data, load_test, shape_of

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def write(path: Path, colour: Any, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """``train/`` with ten images of each of three colours, 6 wide and 4 high."""
    for name, colour in COLOURS.items():
        for number in range(10):
            write(tmp_path / "train" / name / f"{number}.png", colour)
    return tmp_path


def settings(root: Path, **fields: Any) -> Dataset:
    return Dataset.model_validate({"name": "image_folder", "root": str(root), **fields})


def message_of(root: Path, **fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_data(settings(root, **fields), split_seed=0)
    return str(caught.value)


def test_folders_give_images_and_class_names(images: Path) -> None:
    data = load_data(settings(images), split_seed=0)
    assert data.class_names == ("blue", "green", "red")
    assert shape_of(settings(images)) == ((3, 4, 6), 3)
    assert (len(data.train), len(data.validation)) == (24, 6)
    reds = data.train.inputs[data.train.targets == 2]
    assert (reds == np.array([255, 0, 0], np.uint8)[:, None, None]).all()


def test_a_val_folder_is_the_validation_split(images: Path) -> None:
    write(images / "val" / "blue" / "a.png", COLOURS["blue"])
    data = load_data(settings(images), split_seed=0)
    assert (len(data.train), len(data.validation)) == (30, 1)


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_part_that_lacks_a_class_keeps_the_numbers_of_train(images: Path, part: str) -> None:
    write(images / part / "red" / "a.png", COLOURS["red"])
    split = (
        load_test(settings(images))
        if part == "test"
        else load_data(settings(images), split_seed=0).validation
    )
    assert split.targets.tolist() == [2]


def test_a_class_that_train_lacks_is_told(images: Path) -> None:
    write(images / "val" / "rde" / "a.png", COLOURS["red"])
    assert "unknown class 'rde' (did you mean 'red'?); valid: blue, green, red" in message_of(
        images
    )


def test_chosen_classes_are_renumbered_in_the_order_given(images: Path) -> None:
    data = load_data(settings(images, classes=["red", "blue"]), split_seed=0)
    assert data.class_names == ("red", "blue")
    assert (data.train.inputs[data.train.targets == 0][:, 0] == 255).all()


def test_images_of_differing_sizes_are_told_with_the_way_out(images: Path) -> None:
    write(images / "train" / "red" / "x.png", COLOURS["red"], size=(9, 5))
    message = message_of(images)
    assert "x.png is 9x5, the first image is 6x4; set dataset.image_size to resize all" in message


def test_image_size_resizes_all(images: Path) -> None:
    write(images / "train" / "red" / "x.png", COLOURS["red"], size=(9, 5))
    assert load_data(settings(images, image_size=8), split_seed=0).input_shape == (3, 8, 8)


@pytest.mark.parametrize(("mode", "colour"), [("L", 128), ("RGBA", (128, 128, 128, 255))])
def test_other_colour_modes_become_rgb(images: Path, mode: str, colour: Any) -> None:
    shutil.rmtree(images / "train" / "red")
    write(images / "train" / "red" / "x.png", colour, mode=mode)
    write(images / "val" / "red" / "x.png", colour, mode=mode)
    validation = load_data(settings(images), split_seed=0).validation
    assert validation.inputs.shape == (1, 3, 4, 6)
    assert (validation.inputs == 128).all()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert message_of(tmp_path) == f"dataset.root: there is no folder {tmp_path}/train"


def test_a_class_without_images_is_told(images: Path) -> None:
    (images / "train" / "yellow").mkdir()
    assert "yellow" in message_of(images)


def test_a_file_that_is_no_image_is_told_by_name(images: Path) -> None:
    (images / "train" / "red" / "broken.png").write_text("no image")
    assert "broken.png: is no picture that can be read" in message_of(images)


def test_a_missing_test_split_is_told(images: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*test"):
        load_test(settings(images))


def test_real_airplanes_and_birds_are_read(real_data: Path, tmp_path: Path) -> None:
    for name in ("airplane", "bird"):
        target = tmp_path / "train" / name
        target.mkdir(parents=True)
        for file in sorted((real_data / "cifar2" / "train" / name).iterdir())[:20]:
            shutil.copy(file, target)
    data = load_data(settings(tmp_path, normalize="standard"), split_seed=0)
    assert data.class_names == ("airplane", "bird")
    assert (data.input_shape, len(data.train), len(data.validation)) == ((3, 32, 32), 32, 8)
    assert data.mean.shape == (3,)
