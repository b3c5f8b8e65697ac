"""Somebody's own training code: a generator that yields metrics and may save its state."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces import InputError
from trainables.checkpoints import Checkpoints
from trainables.config import CodeConfig
from trainables.own_code import CodeTraining
from trainables.training import EpochReport

COUNTER = """
import random, numpy, torch

def train(config, context):
    weight = torch.zeros(1) if context.state is None else context.state["weight"]
    for epoch in range(context.epoch, context.max_epochs):
        weight += config["rate"]
        if (epoch + 1) % config.get("save_every", 1) == 0:
            context.save({"weight": weight})
        yield {"epoch_trained": epoch + 1, "weight": weight}

def never_saves(config, context):
    for epoch in range(1, 5):
        yield {"epoch_trained": epoch}

def draws(config, context):
    yield {"python": random.random(), "numpy": numpy.random.rand(), "torch": torch.rand(())}

def tells(config, context):
    yield {"seed": context.seed, "max_epochs": context.max_epochs, "gpus": len(context.gpu_ids)}

def cleans_up(config, context):
    try:
        yield {"loss": 1.0}
        yield {"loss": 0.5}
    finally:
        open(config["file"], "w").close()

def yields(config, context):
    yield eval(config["what"])

def saves_an_object(config, context):
    context.save({"bad": train})
    yield {"loss": 1.0}

def returns(config, context):
    return {"loss": 1.0}
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(COUNTER)
    return path


def training(code: Path, function: str = "train", seed: int = 0, **settings: Any) -> CodeTraining:
    config = CodeConfig.model_validate(
        {
            "trainable": f"{code}:{function}",
            "settings": {"rate": 0.5, **settings},
            "metric": {"name": "weight", "mode": "max"},
            "epochs": 4,
            "max_epochs": 4,
            "seed": seed,
            "threads": 1,
        }
    )
    return CodeTraining(config, torch.device("cpu"))


def trained_epochs(reports: list[EpochReport]) -> list[tuple[int, float]]:
    return [(report.epoch, report.metrics["epoch_trained"]) for report in reports]


def interrupted(code: Path, epochs: int, function: str = "train", **settings: Any) -> CodeTraining:
    """A new training resumed from the checkpoint of one that trained ``epochs``."""
    first = training(code, function, **settings)
    for _ in range(epochs):
        next(first)
    checkpoints = Checkpoints(str(code.parent), 0)
    checkpoints.save(epochs, first.state_dict())
    first.close()
    state = checkpoints.load()
    assert state is not None
    second = training(code, function, **settings)
    second.load_state_dict(state)
    return second


def test_each_yield_is_the_report_of_an_epoch(code: Path) -> None:
    reports = list(training(code))
    assert trained_epochs(reports) == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [report.metrics["weight"] for report in reports] == [0.5, 1.0, 1.5, 2.0]


def test_training_ends_when_the_generator_does(code: Path) -> None:
    assert len(list(training(code, "draws"))) == 1


def test_the_context_tells_seed_epochs_and_gpus(code: Path) -> None:
    report = next(training(code, "tells", seed=5))
    assert report.metrics == {"seed": 5.0, "max_epochs": 4.0, "gpus": 0.0}


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_resumed_run_goes_on_from_what_was_saved(code: Path, epochs: int) -> None:
    assert list(interrupted(code, epochs)) == list(training(code))[epochs:]


def test_a_resumed_run_goes_back_to_the_last_epoch_that_was_saved(code: Path) -> None:
    second = interrupted(code, epochs=3, save_every=2)
    assert second.epoch == 2
    assert list(second) == list(training(code, save_every=2))[2:]


def test_code_that_never_saves_starts_anew(code: Path) -> None:
    second = interrupted(code, epochs=2, function="never_saves")
    assert trained_epochs(list(second)) == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_the_global_generators_start_from_the_seed(code: Path) -> None:
    first, again, other = (next(training(code, "draws", seed=s)).metrics for s in (1, 1, 2))
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_closing_runs_the_codes_own_cleaning_up(code: Path) -> None:
    running = training(code, "cleans_up", file=str(code.parent / "closed"))
    next(running)
    assert not (code.parent / "closed").exists()
    running.close()
    assert (code.parent / "closed").exists()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("{'x': torch.tensor(2.0)}", 2.0),
        ("{'x': numpy.float32(2.0)}", 2.0),
        ("{'x': True}", 1.0),
        ("{'x': 10**400}", math.inf),
    ],
)
def test_anything_that_is_one_number_is_a_metric(code: Path, what: str, value: float) -> None:
    assert next(training(code, "yields", what=what)).metrics == {"x": value}


@pytest.mark.parametrize(
    ("what", "received"),
    [
        ("None", "got None"),
        ("0.5", "got 0.5"),
        ("{'loss': 'low'}", "got loss: 'low'"),
        ("{'loss': None}", "got loss: None"),
        ("{'loss': torch.zeros(2)}", "got loss: tensor"),
    ],
)
def test_a_yield_that_is_no_metrics_is_told(code: Path, what: str, received: str) -> None:
    with pytest.raises(TypeError, match="each epoch must yield a mapping of metric") as caught:
        next(training(code, "yields", what=what))
    assert received in str(caught.value)


def test_code_that_returns_instead_of_yielding_is_told(code: Path) -> None:
    with pytest.raises(TypeError, match="must be a generator, it gave dict"):
        next(training(code, "returns"))


def test_a_state_that_could_not_be_read_back_is_told_when_it_is_saved(code: Path) -> None:
    with pytest.raises(TypeError, match=r"context\.save takes tensors"):
        next(training(code, "saves_an_object"))


def test_a_function_that_is_not_there_is_told_with_those_that_are(code: Path) -> None:
    with pytest.raises(InputError, match="has no function 'trian'; it has train, never_saves"):
        next(training(code, "trian"))


def test_code_that_cannot_be_imported_is_told(code: Path) -> None:
    code.write_text("import no_such_module")
    with pytest.raises(InputError, match="cannot be imported: ModuleNotFoundError"):
        next(training(code))
