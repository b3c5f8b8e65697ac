"""A user's own images: ``train/`` (and, if there, ``val/`` and ``test/``) with a folder a class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spaces.problems import InputError, printable, unknown_name
from spaces.settings.dataset import Dataset
from trainables.data.sources import Array, Split, data_root

VALIDATION_FOLDERS = ("val", "validation", "valid", "dev")


def validation_folder(root: Path) -> Path | None:
    """The folder with the validation split, by whichever of its usual names; None without one.

    Raises:
        InputError: when there are several.
    """
    found = [root / name for name in VALIDATION_FOLDERS if (root / name).is_dir()]
    if len(found) > 1:
        names = " and ".join(f"{folder.name}/" for folder in found)
        raise InputError(f"dataset.root: {root} has {names}; keep one, for validation")
    return found[0] if found else None


def read_image_folder(settings: Dataset, part: str) -> tuple[Split, tuple[str, ...]]:
    """Read ``root/part/<class>/<image>`` into one array.

    Grey images become RGB. With ``image_size`` every image is resized to that many pixels square;
    without it all must have the size of the first. What is hidden or no picture is skipped, with a
    warning that counts it.

    Args:
        settings: the dataset section.
        part: ``train``, ``val`` or ``test``.

    Returns:
        The split, inputs of shape (samples, 3, height, width) uint8, and the class names.

    Raises:
        InputError: when the folder is not there, holds no images, or their sizes differ.
    """
    root = data_root(settings)
    folder = (validation_folder(root) if part == "val" else None) or root / part
    names = tuple(entry.name for entry in _class_folders(root / "train"))
    listed = _pictures(folder)
    if strange := sorted(listed.keys() - set(names)):
        message = unknown_name("class", strange[0], names)
        raise InputError(f"dataset.root: {folder}: {message}")
    files = [file for held in listed.values() for file in held]
    targets = [names.index(name) for name, held in listed.items() for _ in held]
    first = _read(files[0], settings.image_size)
    try:
        images = np.empty((len(files), *first.shape), dtype=np.uint8)
    except MemoryError:
        size, gigabytes = f"{first.shape[2]}x{first.shape[1]}", len(files) * first.size // 10**9
        what = f"{len(files)} images of {size} need {gigabytes} GB of memory"
        raise InputError(f"dataset.root: {what}; a smaller dataset.image_size needs less") from None
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


def _class_folders(folder: Path) -> list[os.DirEntry[str]]:
    """The folders of the classes, in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"dataset.root: there is no folder {folder}")
    with os.scandir(folder) as entries:
        held = [entry for entry in entries if entry.is_dir() and not _is_hidden(entry.name)]
    return sorted(held, key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _pictures(folder: Path) -> dict[str, list[str]]:
    """The pictures of each class, those in folders below too, in the order of their names.

    Raises:
        InputError: when a class has none, or there is no class.
    """
    from trainables.data.images import picture_endings

    classes = _class_folders(folder)
    found: dict[str, list[str]] = {entry.name: [] for entry in classes}
    whole = folder.resolve()
    above = {*map(_place_of, (whole, *whole.parents)), *(_place_of(Path(held)) for held in classes)}
    again: list[str] = []
    loose = sorted(set(os.listdir(folder)) - found.keys())
    hidden = [name for name in loose if _is_hidden(name)]
    others = [name for name in loose if not _is_hidden(name)]
    endings = tuple(picture_endings())
    for name, pictures in found.items():
        for place, files in sorted(_walk(folder / name, {*above}, hidden, again)):
            pictures += [f"{place}/{file}" for file in files if file.lower().endswith(endings)]
            others += [file for file in files if not file.lower().endswith(endings)]
        if not pictures:
            raise InputError(f"dataset.root: there is no picture in {folder / name}")
    if not found:
        raise InputError(f"dataset.root: there is no folder of a class in {folder}")
    _tell_skipped(folder, hidden, others, again)
    return found


def _place_of(folder: Path) -> tuple[int, int]:
    """What tells a folder from any other, however links lead to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _walk(
    folder: Path, seen: set[tuple[int, int]], hidden: list[str], again: list[str]
) -> Iterator[tuple[str, list[str]]]:
    """Each folder with its files in order, without what is hidden or seen, which is noted."""
    for place, folders, files in os.walk(folder, followlinks=True):
        hidden += [name for name in (*folders, *files) if _is_hidden(name)]
        shown = sorted(name for name in folders if not _is_hidden(name))
        folders.clear()
        for name in shown:
            held = _place_of(Path(place, name))
            (again if held in seen else folders).append(name)
            seen.add(held)
        yield place, sorted(name for name in files if not _is_hidden(name))


def _tell_skipped(folder: Path, hidden: list[str], others: list[str], again: list[str]) -> None:
    kinds = (
        ("hidden", hidden),
        ("no pictures in the folder of a class", others),
        ("links to a folder that is read already", again),
    )
    counts = [f"{len(held)} {kind} (such as {held[0]})" for kind, held in kinds if held]
    if counts:
        message = f"{folder}: files and folders skipped: {', '.join(counts)}"
        warnings.warn(printable(message), stacklevel=2)


def _read(file: str, size: int | None) -> Array:
    """One image as (3, height, width)."""
    from trainables.data.images import read_picture  # Pillow is imported where pictures are

    try:
        return read_picture(Path(file), 3, None if size is None else (size, size)).pixels
    except InputError as error:
        raise InputError(f"dataset.root: {error}") from None
