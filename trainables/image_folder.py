"""A user's own images: ``train/`` (and, if there, ``val/`` and ``test/``) with a folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaces.problems import InputError, unknown_name
from spaces.settings import Dataset
from trainables.pictures import read_picture
from trainables.sources import Array, Split, data_root


def read_image_folder(settings: Dataset, part: str) -> tuple[Split, tuple[str, ...]]:
    """Read ``root/part/<class>/<image>`` into one array.

    Grey images become RGB. With ``image_size`` every image is resized to that many pixels square;
    without it all must have the size of the first.

    Args:
        settings: the dataset section.
        part: ``train``, ``val`` or ``test``.

    Returns:
        The split, inputs of shape (samples, 3, height, width) uint8, and the class names.

    Raises:
        InputError: when the folder is not there, holds no images, or their sizes differ.
    """
    from torchvision.datasets import ImageFolder

    folder = data_root(settings) / part
    if not folder.is_dir():
        raise InputError(f"dataset.root: there is no folder {folder}")
    try:
        listing = ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise InputError(f"dataset.root: {error}") from None
    names = _class_names(data_root(settings) / "train")
    if not set(listing.classes) <= set(names):
        strange = sorted(set(listing.classes) - set(names))[0]
        raise InputError(f"dataset.root: {folder}: {unknown_name('class', strange, names)}")
    files, classes = zip(*listing.samples, strict=True)
    targets = [names.index(listing.classes[number]) for number in classes]
    first = _read(files[0], settings.image_size)
    images = np.empty((len(files), *first.shape), dtype=np.uint8)
    for row, file in enumerate(files):
        image = _read(file, settings.image_size)
        if image.shape != first.shape:
            size, expected = (f"{s[2]}x{s[1]}" for s in (image.shape, first.shape))
            raise InputError(
                f"dataset.root: {file} is {size}, the first image is {expected}; "
                "set dataset.image_size to resize all"
            )
        images[row] = image
    return Split(images, np.asarray(targets, dtype=np.int64)), names


def _class_names(train: Path) -> tuple[str, ...]:
    """The classes and their numbers are those of ``train/``; the other parts may lack some."""
    if not train.is_dir():
        raise InputError(f"dataset.root: there is no folder {train}")
    return tuple(sorted(entry.name for entry in train.iterdir() if entry.is_dir()))


def _read(file: str, size: int | None) -> Array:
    """One image as (3, height, width)."""
    try:
        return read_picture(Path(file), 3, None if size is None else (size, size)).pixels
    except InputError as error:
        raise InputError(f"dataset.root: {error}") from None
