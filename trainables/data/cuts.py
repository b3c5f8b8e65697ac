"""Cutting samples in two by a seed: every class in proportion, or every group whole."""

from __future__ import annotations

import numpy as np

from spaces.problems import InputError, shortened
from trainables.data.sources import Array

_LONGEST = 200  # characters of scikit-learn's reason, which may list thousands of classes


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
        classes: of all samples; each is cut in proportion, unless there are groups.
        groups: of all samples; each is in one part as a whole.

    Raises:
        InputError: when they can't be cut so.
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    if groups is not None and len(np.unique(groups[rows])) < 2:
        raise InputError(f"{path}: all samples are of one group, which can't be cut")
    try:
        if groups is None:
            strata = None if classes is None else classes[rows]
            kept, held = train_test_split(rows, test_size=size, stratify=strata, random_state=seed)
        else:
            split = GroupShuffleSplit(1, test_size=size / len(rows), random_state=seed)
            kept, held = (rows[part] for part in next(split.split(rows, groups=groups[rows])))
    except ValueError as error:
        count = "" if groups is None else f" in {len(np.unique(groups[rows]))} groups"
        message = f"{len(rows)} samples{count} cannot be cut so: {shortened(str(error), _LONGEST)}"
        raise InputError(f"{path}: {message}") from None
    return np.sort(kept), np.sort(held)
