"""Cutting samples in two by a seed: every class in proportion, or every group whole.

A seed cuts as scikit-learn's ``train_test_split`` and ``GroupShuffleSplit`` do, which take longer
to import than a small search to begin.
"""

from __future__ import annotations

import math

import numpy as np

from spaces.problems import InputError, shortened
from trainables.data.sources import Array


def cut(
    rows: Array,
    size: int,
    seed: int,
    path: str,
    classes: Array | None = None,
    groups: Array | None = None,
) -> tuple[Array, Array]:
    """Cut ``size`` of the rows off; both parts are in ascending order.

    Args:
        rows: the samples.
        size: how many are cut off; of groups, in that proportion.
        seed: drives the choice.
        path: the setting that asks for it, for messages.
        classes: of all samples, (samples,); each is cut in proportion, unless there are groups.
        groups: of all samples, (samples,); each is in one part as a whole.

    Raises:
        InputError: when they can't be cut so.
    """
    draws = np.random.RandomState(seed)
    try:
        if groups is not None:
            is_held = _of_groups(groups[rows], size / len(rows), draws)
        elif classes is not None:
            is_held = _of_classes(classes[rows], size, draws)
        else:
            is_held = _of_all(len(rows), size, draws)
    except ValueError as error:
        message = f"{path}: {len(rows)} samples cannot be cut so: {error}"
        raise InputError(message) from None
    return np.sort(rows[~is_held]), np.sort(rows[is_held])


def _of_all(count: int, size: int, draws: np.random.RandomState) -> Array:
    if not 0 < size < count:
        raise ValueError(f"{size} would be on one side, and {count - size} on the other")
    return np.isin(np.arange(count), draws.permutation(count)[:size])


def _of_groups(groups: Array, share: float, draws: np.random.RandomState) -> Array:
    names, belongs = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError("all are of one group, and no group may be on both sides")
    size = math.ceil(share * len(names))
    if size == len(names):
        raise ValueError(f"all {size} groups would be on one side, and none on the other")
    is_held: Array = _of_all(len(names), size, draws)[belongs]
    return is_held


def _of_classes(classes: Array, size: int, draws: np.random.RandomState) -> Array:
    names, belongs, counts = np.unique(classes, return_inverse=True, return_counts=True)
    if counts.min() < 2:
        lonely = shortened(str(names[counts.argmin()]), 40)
        raise ValueError(f"class {lonely} has only one of them, and needs one on each side")
    smaller = min(size, len(classes) - size)
    if smaller < len(names):
        raise ValueError(
            f"{smaller} would be on one side, too few for one of each of {len(names)} classes"
        )
    kept = _in_proportion(counts, len(classes) - size, draws)
    held = _in_proportion(counts - kept, size, draws)
    is_held = np.zeros(len(classes), dtype=bool)
    places = np.split(np.argsort(belongs, kind="stable"), np.cumsum(counts)[:-1])
    for of_class, before, taken in zip(places, kept, held, strict=True):
        shuffled = of_class[draws.permutation(len(of_class))]
        is_held[shuffled[before : before + taken]] = True
    return is_held


def _in_proportion(counts: Array, size: int, draws: np.random.RandomState) -> Array:
    """How many of each class make up ``size``: the largest remainders are rounded up.

    Where remainders are equal, the seed draws.
    """
    exact = counts / counts.sum() * size
    whole = np.floor(exact)
    remainders = exact - whole
    missing = int(size - whole.sum())
    for remainder in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        equal = np.flatnonzero(remainders == remainder)
        taken = draws.choice(equal, size=min(len(equal), missing), replace=False)
        whole[taken] += 1
        missing -= len(taken)
    return np.asarray(whole, dtype=np.int64)
