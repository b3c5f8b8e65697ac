"""What can swim, and what swims together."""

from __future__ import annotations

from typing import Any

import pytest

from spaces.training_config import CodeConfig
from tests.support.lanes import lane_config, shoal_of
from tests.support.tiny_training import MODELS, tiny_config
from trainables.shoal.kind import kind_of, unfit
from trainables.shoal.rows import Rows


def test_all_that_may_be_data_is_of_one_kind() -> None:
    for optimizer in ("adam", "sgd", "rmsprop"):
        assert len({kind_of(lane_config(lane, optimizer)) for lane in range(24)}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"hidden": [7]}},
        {"model": {"hidden": [6, 6]}},
        {"train": {"batch_size": 9, "lr": 0.05}},
        {"train": {"batch_size": 8, "optimizer": "sgd"}},
        {"split_seed": 1},
    ],
)
def test_what_changes_shapes_or_data_makes_another_kind(changes: Any) -> None:
    shoal = shoal_of({0: tiny_config()}, lanes=2)
    other = tiny_config(**changes)
    assert unfit(other) == []
    with pytest.raises(ValueError, match="is of another kind"):
        shoal.admit(1, other)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": MODELS["convnet"]}, ["model.family: convnet"]),
        ({"model": MODELS["dropconnect"]}, ["model.dropconnect: 0.3"]),
        ({"train": {"mixup": 0.2, "crop": 1}}, ["train.crop: 1", "train.mixup: 0.2"]),
        ({"train": {"flip": True, "cutout": 2}}, ["train.cutout: 2", "train.flip: true"]),
        ({"train": {"class_weights": "balanced"}}, ["train.class_weights: balanced"]),
        ({"train": {"accumulate": 2}}, ["train.accumulate: 2"]),
        ({"train": {"precision": "bfloat16"}}, ["train.precision: bfloat16"]),
        ({"train": {"compile": True}}, ["train.compile: true"]),
        ({"diagnostics": True}, ["diagnostics: true"]),
        ({"final": True}, ["final: true"]),
    ],
)
def test_what_can_not_swim_is_told(changes: Any, told: list[str]) -> None:
    assert unfit(tiny_config(**changes)) == told


def test_own_code_can_not_swim() -> None:
    like = tiny_config().model_dump(mode="json", include={"metric", "epochs", "max_epochs", "seed"})
    code = CodeConfig(trainable="own.py:train", settings={}, threads=1, **like)
    assert unfit(code) == ["trainable: your own code"]


def test_a_shoal_refuses_what_it_has_no_room_for() -> None:
    shoal = shoal_of({0: tiny_config(), 1: tiny_config()})
    with pytest.raises(ValueError, match="lane 1 is taken"):
        shoal.admit(1, tiny_config())
    with pytest.raises(ValueError, match="all 2 lanes are taken"):
        shoal.admit(2, tiny_config())
    with pytest.raises(KeyError):
        shoal.evict(7)
    with pytest.raises(KeyError):
        shoal.extract(7)
    shoal.evict(0)
    shoal.admit(2, tiny_config())
    assert 2 in shoal
    assert len(shoal) == 2


def test_a_shoal_that_had_no_memory_for_another_lane_is_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configs = {lane: tiny_config(seed=lane) for lane in range(8)}
    shoal, other = shoal_of(configs, lanes=16), shoal_of(configs, lanes=16)

    def full(rows: Rows, count: int) -> Rows:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "extended", full)
        with pytest.raises(MemoryError):
            shoal.admit(8, tiny_config(seed=8))
    assert shoal.train_epoch() == other.train_epoch()
    shoal.admit(8, tiny_config(seed=8))
    assert len(shoal.train_epoch()) == 9
