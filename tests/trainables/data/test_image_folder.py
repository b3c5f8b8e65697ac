"""A user's own folders of images."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from spaces import InputError
from spaces.settings.dataset import Dataset
from trainables.data.datasets import read
from trainables.data.image_folder import read_image_folder
from trainables.data.images import picture_endings, read_picture
from trainables.data.splits import load_data, load_test, shape_of

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


def test_what_is_hidden_or_no_picture_is_skipped_with_a_count(images: Path) -> None:
    before = load_data(settings(images), split_seed=0)
    red = images / "train" / "red"
    write(red / ".ipynb_checkpoints" / "0-checkpoint.png", COLOURS["red"])
    write(red / "._x.jpg", COLOURS["red"])
    write(images / "train" / ".ipynb_checkpoints" / "a.png", COLOURS["red"])
    (images / "train" / ".DS_Store").touch()
    (red / "notes.txt").touch()
    write(images / "train" / "loose.png", COLOURS["red"])
    with pytest.warns(UserWarning, match="skipped") as told:
        after = load_data(settings(images), split_seed=0)
    assert after.fingerprint == before.fingerprint
    assert after.class_names == ("blue", "green", "red")
    assert str(told[0].message) == (
        f"{images / 'train'}: files and folders skipped: 4 hidden (such as .DS_Store), "
        "2 no pictures in the folder of a class (such as loose.png)"
    )


@pytest.mark.parametrize(
    "ending", [".jfif", ".gif", ".webp", ".tif", ".JPG", ".jp2", ".bmp", ".tga"]
)
def test_all_that_pillow_reads_is_read(images: Path, ending: str) -> None:
    write(images / "train" / "red" / f"more{ending}", COLOURS["red"])
    data = load_data(settings(images), split_seed=0)
    assert len(data.train) + len(data.validation) == 31


def test_no_folder_is_read_twice_through_links(images: Path, tmp_path: Path) -> None:
    expected, names = read_image_folder(settings(images), "train")
    first = images / "train" / names[0]
    write(tmp_path / "more" / "x.png", (1, 2, 3))
    (first / "again").symlink_to(first)
    (first / "up").symlink_to(images)
    (first / "more").symlink_to(tmp_path / "more")
    (first / "once_more").symlink_to(tmp_path / "more")
    told = r"3 links to a folder that is read already \(such as again\)"
    with pytest.warns(UserWarning, match=told):
        split, _ = read_image_folder(settings(images), "train")
    assert len(split.inputs) == len(expected.inputs) + 1


def test_what_pillow_needs_other_programs_for_is_no_picture() -> None:
    assert {".eps", ".h5", ".mpg"}.isdisjoint(picture_endings())
    assert {".pdf", ".txt", ".py"}.isdisjoint(picture_endings())


@pytest.mark.parametrize("name", ["val", "validation", "valid", "dev"])
def test_the_validation_split_is_found_by_its_usual_names(images: Path, name: str) -> None:
    write(images / name / "blue" / "a.png", COLOURS["blue"])
    assert len(load_data(settings(images), split_seed=0).validation) == 1


def test_two_validation_splits_are_refused(images: Path) -> None:
    for name in ("validation", "val"):
        write(images / name / "blue" / "a.png", COLOURS["blue"])
    assert "has val/ and validation/; keep one, for validation" in message_of(images)


def test_the_samples_and_their_order_are_what_they_always_were(images: Path) -> None:
    """A fingerprint in an old journal still fits the folder."""
    for number in range(3):
        shade = (number, 50 * number, 7)
        write(images / "train" / "red" / "below" / f"{number}.png", shade)
        write(images / "train" / "red" / "a" / f"{number}.JPG", shade)
    listing = ImageFolder(str(images / "train"))
    whole, _ = read(settings(images), "train")
    assert whole.targets.tolist() == listing.targets
    for row, (image, _) in enumerate(listing):
        assert (whole.inputs[row] == np.asarray(image).transpose(2, 0, 1)).all()


def png(path: Path, size: tuple[int, int], bits: int, channels: int, rows: bytes) -> None:
    """Write a PNG that holds these rows, whatever its header says."""

    def chunk(kind: bytes, held: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + held))
        return struct.pack(">I", len(held)) + kind + held + checksum

    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_a_channel_are_refused_never_cut(images: Path, channels: int) -> None:
    values = np.linspace(0, 4000, 16 * channels).reshape(4, -1).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    png(images / "train" / "red" / "deep.png", (4, 4), 16, channels, rows)
    assert "deep.png: has more than 8 bits a channel; save it with 8" in message_of(images)


@pytest.mark.parametrize(
    ("size", "got"), [((17_500, 10_000), ", got 17500x10000"), ((100_000, 100_000), "")]
)
def test_too_many_pixels_are_refused_before_they_are_decoded(
    images: Path, size: tuple[int, int], got: str
) -> None:
    png(images / "train" / "red" / "vast.png", size, 8, 3, rows=b"")
    rule = f"vast.png: a picture may have at most 100,000,000 pixels{got}; save it smaller"
    assert rule in message_of(images, image_size=8)


def halves(path: Path, mode: str = "RGB", **options: Any) -> None:
    """A picture of 8000 x 4500 pixels: its upper half is red, its lower half blue."""
    image = Image.new("RGB", (8000, 4500), COLOURS["blue"])
    image.paste(COLOURS["red"], (0, 0, 8000, 2250))
    image.convert(mode).save(path, **options)


@pytest.mark.parametrize(("name", "mode"), [("a.jpg", "RGB"), ("a.gif", "P")])
def test_a_large_picture_is_decoded_at_the_size_that_is_needed(
    tmp_path: Path, name: str, mode: str
) -> None:
    halves(tmp_path / name, mode)
    picture = read_picture(tmp_path / name, 3, (16, 16))
    assert picture.note == "resized from 8000x4500 to 16x16"
    for rows, colour in ((slice(0, 7), "red"), (slice(9, 16), "blue")):
        wanted = np.array(COLOURS[colour])[:, None, None]
        assert np.abs(picture.pixels[:, rows].astype(int) - wanted).max() <= 3


def test_a_large_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    halves(tmp_path / "a.jpg", exif=exif)
    picture = read_picture(tmp_path / "a.jpg", 3, (16, 16))
    assert picture.note == "resized from 4500x8000 to 16x16"
    assert (picture.pixels[0, :, 9:] > 250).all()
    assert (picture.pixels[2, :, :7] > 250).all()
