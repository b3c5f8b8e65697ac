"""What the user's code draws at random goes on where an interrupted trial stood."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spaces.training_config import CodeConfig
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.ranks import Rank
from trainables.reports import EpochReport
from trainables.user_code.training import CodeTraining

CODE = """
import random, numpy, torch
from torch.utils.data import DataLoader

def drawn():
    return {"python": random.random(), "numpy": numpy.random.rand(), "torch": torch.rand(())}

def yields(config, context):
    torch.nn.Linear(9, 9)
    context.load()
    for epoch in range(context.epoch, context.max_epochs):
        context.save({"epoch": epoch})
        yield drawn()

def reports(config, context):
    state = context.load()
    torch.nn.Linear(9, 9)  # built after the state was asked for, and before the epoch is
    for epoch in range(context.epoch, context.max_epochs):
        metrics = drawn()
        context.save({"epoch": epoch})
        random.random()  # after the save, and before the report
        context.report(metrics)
        random.random()  # part of the next epoch

def counts_by_itself(config, context):
    start = context.epoch
    torch.nn.Linear(9, 9)
    if context.state is not None:
        start = context.state["epoch"] + 1
    for epoch in range(start, context.max_epochs):
        metrics = drawn()
        context.save({"epoch": epoch})
        yield metrics

def asks_again_and_again(config, context):
    context.load()
    for epoch in range(context.epoch, context.max_epochs):
        metrics = drawn() | {"asked": context.epoch, "is_there": context.state is not None}
        metrics["later"] = random.random()
        context.save({"epoch": epoch})
        yield metrics | {"is_there": True}

def saves_now_and_then(config, context):
    torch.nn.Linear(9, 9)
    for epoch in range(context.epoch, context.max_epochs):
        metrics = drawn()
        if epoch % 2:
            context.save({"epoch": epoch})
        yield metrics

def shuffles(config, context):
    for epoch in range(context.epoch, context.max_epochs):
        batches = DataLoader(range(20), 5, shuffle=True)
        context.save({"epoch": epoch})
        yield {"first": next(iter(batches))[0]}
"""


def training(folder: Path, function: str, rank: Rank | None = None) -> CodeTraining:
    (folder / "mine.py").write_text(CODE)
    config = CodeConfig.model_validate(
        {
            "trainable": f"{folder}/mine.py:{function}",
            "settings": {},
            "metric": {"name": "python", "mode": "max"},
            "epochs": 5,
            "max_epochs": 5,
            "seed": 3,
            "threads": 1,
        }
    )
    return CodeTraining(config, torch.device("cpu"), rank=rank or Rank())


def after(epochs: int, folder: Path, function: str) -> list[EpochReport]:
    """The reports of a training that goes on from the checkpoint of one that trained so many."""
    first, checkpoints = training(folder, function), Checkpoints(str(folder), 0)
    for _ in range(epochs):
        next(first)
    checkpoints.save(epochs, first.state_dict())
    state = checkpoints.load()
    assert state is not None
    second = training(folder, function)
    second.load_state_dict(state)
    return list(second)


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize(
    "function", ["yields", "counts_by_itself", "asks_again_and_again", "shuffles"]
)
def test_a_resumed_training_draws_what_it_would_have_drawn(
    function: str, epochs: int, tmp_path: Path
) -> None:
    assert after(epochs, tmp_path, function) == list(training(tmp_path, function))[epochs:]


def test_what_was_drawn_after_the_save_counts_up_to_the_report(tmp_path: Path) -> None:
    whole = [report.metrics for report in training(tmp_path, "reports")]
    parted = [report.metrics for report in after(2, tmp_path, "reports")]
    for name in ("numpy", "torch"):
        assert [m[name] for m in parted] == [m[name] for m in whole[2:]]
    assert parted[0]["python"] != whole[2]["python"]  # what stands behind the report never ran


def test_the_generators_go_back_to_the_epoch_that_was_saved(tmp_path: Path) -> None:
    whole = list(training(tmp_path, "saves_now_and_then"))
    assert after(3, tmp_path, "saves_now_and_then") == whole[2:]


def test_each_of_several_processes_starts_its_generators_from_the_seed(tmp_path: Path) -> None:
    first = training(tmp_path, "yields")
    whole = [report.metrics for report in first]
    second = training(tmp_path, "yields", Rank(number=1, world_size=2))
    second.load_state_dict({**first.state_dict(), "epoch": 1})
    assert next(second).metrics == whole[0]


def test_a_checkpoint_of_an_earlier_version_starts_them_from_the_seed(tmp_path: Path) -> None:
    first = training(tmp_path, "yields")
    whole = [report.metrics for report in first]
    state = {**first.state_dict(), "epoch": 1}
    del state["drawn"]
    second = training(tmp_path, "yields")
    second.load_state_dict(state)
    assert next(second).metrics == whole[0]
