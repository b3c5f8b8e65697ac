"""What metric and training settings ask of a dataset is checked before any of its files is read."""

from __future__ import annotations

from typing import Any

import pytest

from spaces.checks import parse_experiment
from spaces.problems import InputError
from spaces.settings.train import Train
from spaces.training_config import identity, resolve

MINIMAL: dict[str, Any] = {"name": "x", "budget": {"trials": 1}}


def told(**changes: Any) -> list[str]:
    """Every mistake of a file; none where it is sound."""
    try:
        parse_experiment({**MINIMAL, **changes})
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("dataset", "name", "valid"),
    [
        ("mnist", "val_auc", "val_accuracy, val_f1 or val_loss"),
        ({"name": "mnist", "classes": [3, 5, 7]}, "val_auc", "val_accuracy, val_f1 or val_loss"),
        ("mnist", "val_fl", "val_accuracy, val_f1 or val_loss"),
        ("mnist", "train_accuracy", "val_accuracy, val_f1 or val_loss"),
        (
            {"name": "mnist", "classes": [3, 5]},
            "val_acc",
            "val_accuracy, val_f1, val_auc or val_loss",
        ),
    ],
)
def test_a_metric_that_the_dataset_has_not_is_refused(dataset: Any, name: str, valid: str) -> None:
    (message,) = told(dataset=dataset, metric={"name": name, "mode": "max"})
    assert message == (
        f"metric.name: selection uses validation only, so it must be {valid}, got {name!r}"
    )


@pytest.mark.parametrize("name", ["val_f1", "val_auc", "val_accuracy"])
def test_a_metric_that_a_regression_has_not_is_refused(name: str) -> None:
    (message,) = told(dataset="diabetes", metric={"name": name, "mode": "max"})
    assert message == (
        "metric.name: this is a regression, and selection uses validation only, "
        f"so it must be val_loss, got {name!r}"
    )


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("mnist", "val_f1"),
        ({"name": "mnist", "classes": [3, 5]}, "val_auc"),
        ({"name": "image_folder", "root": "x"}, "val_auc"),
    ],
)
def test_higher_is_better_without_a_word_where_the_name_says_so(dataset: Any, name: str) -> None:
    experiment = parse_experiment({**MINIMAL, "dataset": dataset, "metric": name})
    assert experiment.metric.mode == "max"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("label_smoothing", 1.0, "must be below 1.0, got 1.0"),
        ("label_smoothing", -0.1, "must be at least 0.0, got -0.1"),
        ("class_weights", "balance", "must be none, balanced, or a list of one positive number"),
        ("class_weights", [1, -2], "a list of one positive number per class, got [1, -2]"),
        ("class_weights", [1, True], "a list of one positive number per class, got [1, True]"),
        ("class_weights", [], "a list of one positive number per class, got []"),
        ("class_weights", [1, float("inf")], "a list of one positive number per class"),
        ("class_weights", {"a": 1}, "a list of one positive number per class, got {'a': 1}"),
        ("crop", 1.5, "must be a whole number, got 1.5"),
        ("crop", -1, "must be at least 0, got -1"),
        ("cutout", 10**9, "must be at most 10000, got 1000000000"),
        ("flip", "yes", "must be true or false, got 'yes'"),
        ("mixup", -1, "must be at least 0.0, got -1"),
        ("mixup", 1e9, "must be at most 100.0, got 1000000000.0"),
        ("accumulate", 0, "must be at least 1, got 0"),
        ("patience", 0, "must be at least 1, got 0"),
        ("precision", "float16", "must be 'float32' or 'bfloat16', got 'float16'"),
        ("compile", 1, "must be true or false, got 1"),
    ],
)
def test_a_wrong_value_is_told_with_its_rule(field: str, value: Any, message: str) -> None:
    (problem,) = told(train={field: value})
    assert problem.startswith(f"train.{field}: ")
    assert message in problem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"label_smoothing": 0.1}}, "train.label_smoothing: label_smoothing is for cl"),
        ({"train": {"class_weights": "balanced"}}, "train.class_weights: class_weights is for cl"),
        ({"train": {"crop": 1}}, "train.crop: crop is for images; diabetes has none"),
        ({"train": {"flip": True}}, "train.flip: flip is for images; diabetes has none"),
        ({"space": {"cutout": [0, 4]}}, "space.cutout: cutout is for images; diabetes has none"),
        ({"space": {"train.flip": [True, False]}}, "space.train.flip: flip is for images"),
        (
            {"space": {"x": {"soft": {"label_smoothing": 0.1}, "hard": {"lr": 0.1}}}},
            "space.x.soft: label_smoothing is for classification; diabetes is a regression",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_for_the_dataset_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    (problem,) = told(dataset="diabetes", **changes)
    assert problem.startswith(message)


def test_settings_with_their_defaults_are_as_if_they_were_not_there() -> None:
    defaults = Train().model_dump()
    assert told(dataset="diabetes", train=defaults) == []
    identities = [
        identity(resolve(parse_experiment({**MINIMAL, "train": train}), {}, seed=1))
        for train in ({}, defaults)
    ]
    assert identities[0] == identities[1]


def test_the_identity_of_a_training_is_that_of_earlier_versions() -> None:
    config = resolve(parse_experiment({**MINIMAL, "train": {"lr": 0.01}}), {}, seed=1)
    assert identity(config) == "e3f2ddf645244d84"
