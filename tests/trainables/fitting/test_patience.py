"""A training with patience ends by itself, and goes on counting after an interruption."""

from __future__ import annotations

import math
from typing import Any

import pytest

from spaces.metric import Metric
from tests.support.tiny_training import tiny_training
from trainables.fitting.patience import Patience

LOW = Metric(name="val_loss", mode="min")
HIGH = Metric(name="val_accuracy", mode="max")


@pytest.mark.parametrize(
    ("metric", "values", "epoch"),
    [
        (LOW, [3, 2, 2, 2], 4),
        (LOW, [3, 2, 2.5, 1.9, 1.9, 2], 6),
        (HIGH, [3, 2, 1], 3),
        (HIGH, [1, 2, 3, 4], None),
        (HIGH, [math.nan, math.nan], 2),
        (LOW, [math.nan, 5, math.inf, 4, 5, 6], 6),
    ],
)
def test_it_is_spent_after_two_epochs_without_a_better_value(
    metric: Metric, values: list[float], epoch: int | None
) -> None:
    patience = Patience(2, metric)
    spent = []
    for value in values:
        patience.see(value)
        spent.append(patience.is_spent)
    assert (spent.index(True) + 1 if True in spent else None) == epoch


def test_without_a_limit_it_is_never_spent() -> None:
    patience = Patience(None, LOW)
    for _ in range(100):
        patience.see(1.0)
    assert not patience.is_spent


STUCK: dict[str, Any] = {  # a learning rate at which nothing becomes better after a few epochs
    "train": {"batch_size": 8, "lr": 0.3, "patience": 2},
    "epochs": 40,
    "max_epochs": 40,
    "metric": {"name": "val_loss", "mode": "min"},
}


def test_a_training_reports_its_last_epoch_as_such_and_ends() -> None:
    training = tiny_training(**STUCK)
    reports = list(training)
    values = [report.metrics["val_loss"] for report in reports]
    assert 3 <= len(reports) < 40
    assert [report.is_last for report in reports] == [False] * (len(reports) - 1) + [True]
    assert values.index(min(values)) == len(values) - 3
    assert next(training, None) is None


def test_a_training_without_validation_has_no_end_of_its_own() -> None:
    reports = list(tiny_training(**STUCK, final=True))
    assert len(reports) == 40
    assert not reports[-1].is_last


@pytest.mark.parametrize("epoch", range(1, 8))
def test_an_interruption_resets_nothing(epoch: int) -> None:
    expected = list(tiny_training(**STUCK))
    first = tiny_training(**STUCK)
    reports = [report for _ in range(epoch) if (report := next(first, None)) is not None]
    second = tiny_training(**STUCK)
    second.load_state_dict(first.state_dict())
    assert reports + list(second) == expected


def test_a_state_of_an_earlier_version_starts_to_count_where_it_goes_on() -> None:
    first = tiny_training(**STUCK)
    next(first)
    state = first.state_dict()
    del state["patience"]
    second = tiny_training(**STUCK)
    second.load_state_dict(state)
    assert list(second)[-1].is_last
