"""Cutting samples in two: by seed, class and group, as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from spaces.problems import InputError
from trainables.data.cuts import cut

SEEDS = range(200)


def classes_of(draws: np.random.Generator) -> np.ndarray:
    """Up to 12 classes, of 2 to 40 samples each, in any order."""
    sizes = draws.integers(2, 41, size=draws.integers(2, 13))
    return draws.permutation(np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_are_cut_as_scikit_learn_cuts_them(seed: int) -> None:
    draws = np.random.default_rng(seed)
    classes = classes_of(draws)
    rows = np.flatnonzero(draws.random(len(classes)) < 0.9)
    _, counts = np.unique(classes[rows], return_counts=True)
    size = int(draws.integers(1, len(rows)))
    if counts.min() < 2 or not len(counts) <= size <= len(rows) - len(counts):
        with pytest.raises(InputError, match="cannot be cut so"):
            cut(rows, size, seed, "here", classes)
        with pytest.raises(ValueError, match="class"):
            train_test_split(rows, test_size=size, stratify=classes[rows], random_state=seed)
        return
    expected = train_test_split(rows, test_size=size, stratify=classes[rows], random_state=seed)
    for ours, theirs in zip(cut(rows, size, seed, "here", classes), expected, strict=True):
        assert np.array_equal(ours, np.sort(theirs))


@pytest.mark.parametrize("seed", SEEDS[:50])
def test_samples_without_classes_are_cut_as_scikit_learn_cuts_them(seed: int) -> None:
    draws = np.random.default_rng(seed)
    rows = np.flatnonzero(draws.random(100) < 0.5)
    size = int(draws.integers(1, len(rows)))
    expected = train_test_split(rows, test_size=size, random_state=seed)
    for ours, theirs in zip(cut(rows, size, seed, "here"), expected, strict=True):
        assert np.array_equal(ours, np.sort(theirs))


@pytest.mark.parametrize("seed", SEEDS[:50])
def test_groups_are_cut_as_scikit_learn_cuts_them(seed: int) -> None:
    draws = np.random.default_rng(seed)
    groups = np.array([f"patient {n}" for n in draws.integers(0, 15, size=120)])
    rows = np.flatnonzero(draws.random(len(groups)) < 0.7)
    size = int(draws.integers(1, len(rows) // 2))
    split = GroupShuffleSplit(1, test_size=size / len(rows), random_state=seed)
    expected = next(split.split(rows, groups=groups[rows]))
    ours = cut(rows, size, seed, "here", classes=groups, groups=groups)
    for part, theirs in zip(ours, expected, strict=True):
        assert np.array_equal(part, np.sort(rows[theirs]))


@pytest.mark.parametrize(
    ("size", "classes", "groups", "reason"),
    [
        (6, None, None, "6 would be on one side, and 0 on the other"),
        (2, ["a", "a", "a", "b", "b", "c"], None, "class c has only one of them"),
        (1, list("aabbbb"), None, "1 would be on one side, too few for one of each of 2 classes"),
        (5, list("aabbbb"), None, "1 would be on one side, too few for one of each of 2 classes"),
        (2, None, list("gggggg"), "all are of one group, and no group may be on both sides"),
        (5, None, list("gghhhh"), "all 2 groups would be on one side, and none on the other"),
    ],
)
def test_what_cannot_be_cut_is_told_with_the_reason(
    size: int, classes: list[str] | None, groups: list[str] | None, reason: str
) -> None:
    named = [None if names is None else np.array(names) for names in (classes, groups)]
    with pytest.raises(InputError, match=f"^dataset.subset: 6 samples cannot be cut so: {reason}"):
        cut(np.arange(6), size, 0, "dataset.subset", *named)
