"""Settings that do not fit the data are refused when the training is made, all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spaces.problems import InputError
from tests.support.tiny_training import tiny_data, tiny_training
from trainables.data.sources import Split
from trainables.data.splits import Data

AUC = {"name": "val_auc", "mode": "max"}


def table() -> Data:
    """The same samples without their shape."""
    data = tiny_data()
    flat = [Split(s.inputs.reshape(len(s), -1), s.targets) for s in (data.train, data.validation)]
    return replace(data, train=flat[0], validation=flat[1])


def two_classes(only: int | None = None) -> Data:
    """Samples of two classes; with ``only``, the validation split has no other."""
    data = tiny_data()
    splits = [Split(s.inputs, s.targets.clip(max=1)) for s in (data.train, data.validation)]
    if only is not None:
        splits[1] = splits[1].take(np.flatnonzero(splits[1].targets == only))
    return replace(data, train=splits[0], validation=splits[1], class_names=("dark", "light"))


REGRESSION = {"regression": True}


@pytest.mark.parametrize(
    ("changes", "data", "message"),
    [
        ({"train": {"crop": 1}}, table(), "train.crop: is for images, and the inputs are of shape"),
        ({"train": {"flip": True}}, table(), "train.flip: is for images"),
        ({"train": {"cutout": 2}}, table(), "train.cutout: is for images"),
        ({"train": {"crop": 4}}, tiny_data(), "below the side of the images, 4, got 4"),
        ({"train": {"cutout": 5}}, tiny_data(), "at most the side of the images, 4, got 5"),
        (
            {"train": {"label_smoothing": 0.1}, **REGRESSION},
            tiny_data(True),
            "train.label_smoothing: is for classification",
        ),
        (
            {"train": {"class_weights": "balanced"}, **REGRESSION},
            tiny_data(True),
            "train.class_weights: is for classification",
        ),
        (
            {"train": {"class_weights": [1.0, 2.0]}},
            tiny_data(),
            r"one number for each of the 3 classes, got \[1.0, 2.0\]",
        ),
        ({"metric": AUC}, tiny_data(), "metric.name: val_auc is for two classes, and there are 3"),
        ({"metric": AUC}, two_classes(only=1), "val_auc needs both classes in the validation"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    changes: dict[str, Any], data: Data, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tiny_training(data, **changes)


def test_every_setting_that_does_not_fit_is_told() -> None:
    train = {"label_smoothing": 0.1, "class_weights": "balanced"}
    with pytest.raises(InputError) as told:
        tiny_training(tiny_data(True), regression=True, train=train)
    assert {problem.path for problem in told.value.problems} == {f"train.{name}" for name in train}


def test_two_classes_have_an_auc_that_may_select() -> None:
    training = tiny_training(two_classes(), metric={**AUC, "scope": "best"})
    values = [report.metrics["val_auc"] for report in training]
    assert all(0.0 <= value <= 1.0 for value in values)
    assert max(values) > 0.5


def test_where_one_of_two_classes_is_not_there_the_report_has_no_auc() -> None:
    report = next(tiny_training(two_classes(only=1)))
    assert "val_f1" in report.metrics
    assert "val_auc" not in report.metrics
