"""Somebody's own training code and space, as the tests of files name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optuna


def train(config: dict[str, Any], context: object) -> Iterator[dict[str, float]]:
    yield {"loss": 1.0}


def space(trial: optuna.Trial) -> None:
    trial.suggest_float("lr", 1e-4, 1.0, log=True)


def faulty_space(trial: optuna.Trial) -> None:
    trial.suggest_float("lr", 2.0, 1.0)
