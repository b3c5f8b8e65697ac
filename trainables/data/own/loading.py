"""A user's own data, cut into splits and prepared as the training split tells."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from spaces.problems import InputError, shown
from spaces.settings.data_files import problems_at
from spaces.settings.own_data import Arrays, Table
from trainables.data.cuts import cut
from trainables.data.own.preparation import (
    Preparation,
    Samples,
    TablePreparation,
    fit_table,
    fit_target,
)
from trainables.data.own.samples import read_samples
from trainables.data.sources import Array, Split, chosen_classes

_FEW_CLASSES = 20  # may be more than half of the samples
_TEST_SEED = 0  # the same test split for every search


class OwnSplits(NamedTuple):
    """What is trained on and validated on, and how it was prepared."""

    train: Split
    validation: Split
    preparation: Preparation


def load_own(settings: Table | Arrays, split_seed: int, is_final: bool = False) -> OwnSplits:
    """Read the files, cut validation off unless it has a file, and prepare both.

    Args:
        settings: the dataset section.
        split_seed: drives the cut and the choice of a subset.
        is_final: train on both, and validate on nothing.

    Raises:
        InputError: when a file is not there, or does not fit the settings.
    """
    whole, names, rows, _ = _parts(settings)
    if settings.subset is not None and settings.subset < len(rows):
        rows, _ = _cut(whole, rows, len(rows) - settings.subset, split_seed, "subset", settings)
    held = np.arange(0)
    if isinstance(settings.validation, float):
        share = max(1, round(settings.validation * len(rows)))
        rows, held = _cut(whole, rows, share, split_seed, "validation", settings)
    train, validation = whole.take(rows), whole.take(held)
    fitted = _fit(settings, train, names)
    if isinstance(settings.validation, str):
        validation = _other_file(settings, "validation", whole, fitted)
    if is_final:
        train = _joined(train, validation, fitted.table)
        validation = train.take(np.arange(0))
        fitted = _fit(settings, train, names)
    with problems_at("dataset.validation"):
        return OwnSplits(fitted.split(train), fitted.split(validation), fitted)


def load_own_test(settings: Table | Arrays, fitted: Preparation) -> Split:
    """The test split, prepared as the training split asks for.

    Raises:
        InputError: when there is none, or it does not fit.
    """
    whole, _, _, rows = _parts(settings)
    if settings.test is None:
        raise InputError("dataset.test: there is no test split")
    test = whole.take(rows)
    if isinstance(settings.test, str):
        test = _other_file(settings, "test", whole, fitted)
        if isinstance(settings.validation, str):
            validation = read_samples(settings, "validation", fitted.table)
            _check_groups("test", test, "the validation split", validation)
    with problems_at("dataset.test"):
        return fitted.split(test)


def _parts(settings: Table | Arrays) -> tuple[Samples, tuple[str, ...], Array, Array]:
    """All samples to train on, their classes, and the rows of training and of the test share."""
    whole = read_samples(settings, settings.training_place)
    names = () if settings.is_regression else _class_names(settings, whole.targets)
    whole = _of_classes(whole, settings)
    rows, held = np.arange(len(whole)), np.arange(0)
    if isinstance(settings.test, float):
        share = max(1, round(settings.test * len(rows)))
        rows, held = _cut(whole, rows, share, _TEST_SEED, "test", settings)
    return whole, names, rows, held


def _cut(
    whole: Samples, rows: Array, size: int, seed: int, field: str, settings: Table | Arrays
) -> tuple[Array, Array]:
    classes = None if settings.is_regression else whole.targets
    return cut(rows, size, seed, f"dataset.{field}", classes, whole.groups)


def _class_names(settings: Table | Arrays, labels: Array) -> tuple[str, ...]:
    """The classes in their order: of numbers by size, else by name, or as ``classes`` says."""
    found = sorted(set(labels), key=_by_size)
    place = f"dataset.{settings.training_place}"
    if len(found) == 1:
        raise InputError(f"{place}: all samples are of one class, {shown(found[0])}")
    if len(found) > max(_FEW_CLASSES, len(labels) / 2):
        name = settings.target if isinstance(settings, Table) else "y"
        raise InputError(
            f"{place}: {shown(name)} has {len(found):,} different values in {len(labels):,} "
            "samples, each of which would be a class; name a target with fewer, or one of numbers "
            "(task: regression)"
        )
    return chosen_classes(tuple(found), settings)


def _by_size(label: str) -> tuple[int, float, str]:
    try:
        size = float(label)
    except ValueError:
        size = math.inf
    return (0, size, label) if math.isfinite(size) else (1, 0.0, label)


def _of_classes(samples: Samples, settings: Table | Arrays) -> Samples:
    """The samples of the classes that are asked for."""
    if settings.classes is None:
        return samples
    rows = np.flatnonzero(np.isin(samples.targets, settings.classes))
    if len(rows) == 0:
        raise InputError(f"dataset.classes: a file has no sample of {shown(settings.classes)}")
    return samples.take(rows)


def _fit(settings: Table | Arrays, train: Samples, names: tuple[str, ...]) -> Preparation:
    table = None
    if isinstance(settings, Table):
        with problems_at(f"dataset.{settings.training_place}"):
            table = fit_table(train.inputs, settings.target, settings.categories)
    scale = fit_target(train.targets) if settings.is_regression else None
    return Preparation(names, table, scale)


def _joined(first: Samples, second: Samples, fitted: TablePreparation | None) -> Samples:
    """The samples of both; those of a table have the types that its columns stand for."""
    targets = np.concatenate([first.targets, second.targets])
    tables = [held for held in (first.inputs, second.inputs) if isinstance(held, pa.Table)]
    if fitted is not None:
        schema = pa.schema(list(fitted.types.items()))
        cast = [table.cast(schema, safe=False) for table in tables]
        return Samples(pa.concat_tables(cast), targets, None)
    return Samples(np.concatenate([first.inputs, second.inputs]), targets, None)


def _other_file(
    settings: Table | Arrays, field: str, whole: Samples, fitted: Preparation
) -> Samples:
    """The samples of a split that has a file of its own.

    Raises:
        InputError: when they are of another shape, or of a group that is trained on.
    """
    others = _of_classes(read_samples(settings, field, fitted.table), settings)
    for mine, theirs in ((whole.inputs, others.inputs), (whole.targets, others.targets)):
        kinds = [] if fitted.table else [f"{a.dtype} {a.shape[1:]}" for a in (theirs, mine)]
        if len(set(kinds)) > 1:
            message = f"its samples are {kinds[0]}, those to train on {kinds[1]}"
            raise InputError(f"dataset.{field}: {message}")
    _check_groups(field, others, "the samples to train on", whole)
    return others


def _check_groups(field: str, samples: Samples, what: str, others: Samples) -> None:
    """See that no group is in two splits.

    Raises:
        InputError: when one is.
    """
    if samples.groups is None or others.groups is None:
        return
    if both := sorted({*samples.groups} & {*others.groups}):
        message = f"{len(both)} groups are in it and in {what}, such as {shown(both[0])}"
        raise InputError(f"dataset.{field}: {message}")
