"""Any dataset by its settings: a built-in one, or the user's images, with the chosen classes."""

from __future__ import annotations

import numpy as np

from spaces.settings.dataset import Dataset
from trainables.data.image_folder import read_image_folder
from trainables.data.sources import SOURCES, Split, chosen_classes, data_root


def read(settings: Dataset, part: str, download: bool = True) -> tuple[Split, tuple[str, ...]]:
    """Read one part of a dataset, only the chosen classes of it.

    Args:
        settings: which data.
        part: ``train``, ``test``, or (for image_folder) ``val``.
        download: whether to fetch what is not there.

    Returns:
        The samples and the class names, which are empty for a regression.

    Raises:
        InputError: when the data is not there, or has no such classes.
    """
    if settings.name == "image_folder":
        return _keep_classes(*read_image_folder(settings, part), settings)
    source = SOURCES[settings.name]
    whole = source.read(data_root(settings), part == "train", download)
    return _keep_classes(whole, source.class_names, settings)


def _keep_classes(
    split: Split, names: tuple[str, ...], settings: Dataset
) -> tuple[Split, tuple[str, ...]]:
    """Only the samples of the chosen classes, renumbered in the order of ``classes``."""
    chosen = chosen_classes(names, settings)
    if chosen == names:
        return split, names
    number = np.full(len(names), -1)
    number[[names.index(name) for name in chosen]] = np.arange(len(chosen))
    targets = number[split.targets]
    kept = targets >= 0
    return Split(split.inputs[kept], targets[kept]), chosen
