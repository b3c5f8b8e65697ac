"""The learning rate follows the formula of its schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from spaces.settings.train import Schedule
from trainables.fitting.optimizer import schedule_factor


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        ({"name": "constant"}, 39, 1.0),
        ({"name": "exponential", "gamma": 0.5}, 9, 1.0),
        ({"name": "exponential", "gamma": 0.5}, 10, 0.5),
        ({"name": "exponential", "gamma": 0.5}, 39, 0.125),
        ({"name": "inverse_time", "decay": 0.1}, 0, 1.0),
        ({"name": "inverse_time", "decay": 0.1}, 30, 1 / (1 + 0.1 * 30)),
        ({"name": "cosine"}, 0, 1.0),
        ({"name": "cosine"}, 20, 0.5),
        ({"name": "cosine"}, 30, 0.5 * (1 + math.cos(0.75 * math.pi))),
        ({"name": "constant", "warmup_epochs": 2.0}, 0, 1 / 20),
        ({"name": "constant", "warmup_epochs": 2.0}, 9, 0.5),
        ({"name": "constant", "warmup_epochs": 2.0}, 19, 1.0),
        ({"name": "constant", "warmup_epochs": 2.0}, 39, 1.0),
        ({"name": "constant", "warmup_epochs": 0.5}, 1, 0.4),
        ({"name": "inverse_time", "decay": 0.1, "warmup_epochs": 1.0}, 4, 0.5 / 1.4),
        ({"name": "exponential", "gamma": 0.5, "warmup_epochs": 2.0}, 10, 0.5 * 11 / 20),
    ],
)
def test_a_schedule_follows_its_formula(schedule: dict[str, Any], step: int, factor: float) -> None:
    made = Schedule.model_validate(schedule)
    assert schedule_factor(made, step, steps_per_epoch=10, max_epochs=4) == pytest.approx(factor)
