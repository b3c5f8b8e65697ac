"""Checkpoints that are written while the training goes on."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch

from trainables.checkpoints.checkpoints import Checkpoints, StorageError
from trainables.checkpoints.saving import SavePlan, Saving, copied


class SlowStorage(Checkpoints):
    """Checkpoints that are written once ``opened`` is set."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), 0)
        self.asked, self.opened = Event(), Event()

    def save(self, epoch: int, state: dict[str, Any]) -> str:
        self.asked.set()
        assert self.opened.wait(60)
        return super().save(epoch, state)


def written(root: Path) -> list[int]:
    """The epochs whose checkpoints are whole, the newest first."""
    return [state["epoch"] for state in Checkpoints(str(root), 0).load_all()]


def save(saving: Saving, epoch: int, state: dict[str, Any] | None = None) -> None:
    held = {"epoch": epoch, **(state or {})}
    saving.save(epoch, held, is_live=True, must_wait=False)


def test_the_training_goes_on_while_its_state_is_written(tmp_path: Path) -> None:
    storage = SlowStorage(tmp_path)
    saving = Saving(storage, SavePlan())
    weights = torch.ones(3)
    save(saving, 1, {"weights": weights})
    weights.mul_(0.0)  # the next epoch
    assert not saving.take_written()
    storage.opened.set()
    saving.finish()
    assert saving.take_written()
    assert not saving.take_written()
    assert Checkpoints(str(tmp_path), 0).load() == {"epoch": 1, "weights": pytest.approx([1.0] * 3)}


def test_of_the_epochs_that_end_while_one_is_written_the_newest_is_written_next(
    tmp_path: Path,
) -> None:
    storage = SlowStorage(tmp_path)
    saving = Saving(storage, SavePlan())
    save(saving, 1)
    assert storage.asked.wait(60)
    for epoch in (2, 3, 4):
        assert saving.is_due(epoch)
        save(saving, epoch)
    assert not saving.is_due(4)
    storage.opened.set()
    saving.finish()
    assert written(tmp_path) == [4, 1]
    save(saving, 5)
    saving.finish()
    assert written(tmp_path) == [5, 4]


def test_where_a_trial_may_end_its_state_is_written_before_anybody_hears_of_it(
    tmp_path: Path,
) -> None:
    saving = Saving(Checkpoints(str(tmp_path), 0), SavePlan(every_epochs=2, ends=frozenset({3})))
    assert [epoch for epoch in (1, 2, 3) if saving.is_due(epoch)] == [2, 3]
    save(saving, 2)
    save(saving, 3)
    assert written(tmp_path)[0] == 3


def test_checkpoints_are_due_by_epochs_or_by_time(tmp_path: Path) -> None:
    now = [0.0]
    plan = SavePlan(every_epochs=10, every_seconds=60.0)
    saving = Saving(Checkpoints(str(tmp_path), 0), plan, epoch=4, clock=lambda: now[0])
    assert [epoch for epoch in range(5, 16) if saving.is_due(epoch)] == [14, 15]
    now[0] = 60.0
    assert saving.is_due(5)
    save(saving, 5)
    saving.finish()
    assert not saving.is_due(6)
    hourly = Saving(Checkpoints(str(tmp_path), 0), SavePlan(None, 3600.0), clock=lambda: now[0])
    assert not hourly.is_due(10**6)


@pytest.mark.parametrize("asks", ["check", "finish", "save"])
def test_a_storage_that_fails_in_the_background_is_told_at_the_next_step(
    tmp_path: Path, asks: str
) -> None:
    (tmp_path / "0").write_text("a file where the folder should be")
    saving = Saving(Checkpoints(str(tmp_path), 0), SavePlan())
    save(saving, 1)
    while saving._thread is not None:  # it is being written
        time.sleep(0.01)
    asked = {"check": saving.check, "finish": saving.finish, "save": lambda: save(saving, 2)}[asks]
    with pytest.raises(StorageError, match="can't be written"):
        asked()
    saving.check()  # told once


def test_a_copy_of_a_state_shares_no_tensor_with_it() -> None:
    state = {"a": torch.zeros(2), "b": [torch.zeros(1), (torch.zeros(1), "text", 3)], "c": None}
    held = copied(state)
    state["a"] += 1
    state["b"][1][0].add_(1)
    assert held["a"].tolist() == [0.0, 0.0]
    assert held["b"][1][0].item() == 0.0
    assert held["b"][1][1:] == ("text", 3)
    assert held["c"] is None
