"""Small searches whose trials train as one model, and what must be true of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.record.folder import RunFolder, experiment_of
from spaces.experiment import Experiment
from spaces.training_config import TrainConfig, resolve
from tests.support import examples
from tests.support.invariants import trials_in
from trainables.data.splits import load_data
from trainables.training import Training

SPACE = {
    "lr": {"low": 1e-3, "high": 0.1, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "activation": ["tanh", "relu"],
    "norm": ["none", "layer"],
}


def small(**changes: Any) -> Experiment:
    """12 trials of at most 9 epochs on a few digits, by plain gradient descent."""
    given = {
        "dataset": {"name": "digits", "subset": 300},
        "model": {"family": "mlp", "hidden": [16]},
        "train": {"optimizer": "sgd", "batch_size": 32},
        "space": SPACE,
    }
    return examples.experiment(**{**given, **changes})


def check_trained_as_alone(run: Path) -> None:
    """Every trial reported what a training of its own reports, but for rounding."""
    experiment = experiment_of(RunFolder(run))
    data = load_data(experiment.dataset, experiment.seed)
    for trial in trials_in(run):
        config = resolve(experiment, trial.params, trial.seed)
        assert isinstance(config, TrainConfig)
        alone = Training(config, data, torch.device("cpu"))
        for report in trial.reports:
            expected = next(alone).metrics
            assert list(report.metrics) == list(expected)
            for name in ("train_loss", "val_loss", "gradient_norm", "learning_rate"):
                found, alone_has = report.metrics[name], expected[name]
                assert math.isfinite(found) == math.isfinite(alone_has)
                if math.isfinite(alone_has):
                    assert found == pytest.approx(alone_has, rel=1e-3)


def told(run: Path) -> list[tuple[Any, ...]]:
    """What a journal says of its trials, without times."""
    return [
        (trial.number, trial.params, trial.seed, trial.state, [r.metrics for r in trial.reports])
        for trial in trials_in(run)
    ]
