"""What can swim, and what swims together."""

from __future__ import annotations

from typing import Any

import pytest

from spaces.training_config import CodeConfig
from tests.support.lanes import alone, check_reports, lane_config, shoal_of
from tests.support.tiny_training import MODELS, tiny_config
from trainables.shoal.kind import kind_of, unfit
from trainables.shoal.rows import Rows


def test_all_that_may_be_data_is_of_one_kind() -> None:
    for family in ("mlp", "convnet"):
        for optimizer in ("adam", "sgd", "rmsprop"):
            configs = [lane_config(lane, optimizer, family) for lane in range(24)]
            assert len({kind_of(config) for config in configs}) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"hidden": [7]}},
        {"model": {"hidden": [6, 6]}},
        {"train": {"batch_size": 9, "lr": 0.05}},
        {"train": {"batch_size": 8, "optimizer": "sgd"}},
        {"model": MODELS["convnet"]},
        {"model": {"hidden": [6], "dropconnect": 0.3}},
        {"train": {"batch_size": 8, "lr": 0.05, "accumulate": 2}},
        {"train": {"batch_size": 8, "lr": 0.05, "precision": "bfloat16"}},
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
    "change", [{"channels": 4}, {"kernel": 1}, {"padding": 0}, {"bias": False}, {"pool": 1}]
)
def test_other_blocks_make_another_kind(change: Any) -> None:
    (block,) = MODELS["convnet"]["blocks"]
    other = {**MODELS["convnet"], "blocks": [{**block, **change}]}
    shoal = shoal_of({0: tiny_config(model=MODELS["convnet"])}, lanes=2)
    with pytest.raises(ValueError, match="is of another kind"):
        shoal.admit(1, tiny_config(model=other))


@pytest.mark.parametrize(
    "model",
    [
        {"norm": "batch"},
        {"family": "convnet", "blocks": [{"channels": 2, "kernel": 4, "padding": 0}]}
        | {"block_norm": "batch"},
    ],
)
def test_batch_norm_of_single_values_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="batch norm needs batches of more than one sample"):
        shoal_of({0: tiny_config(model=model, train={"batch_size": 1})})


def test_batch_norm_of_single_images_swims() -> None:
    blocks = [{"channels": 3, "bias": False, "norm": "batch"}]
    model = {"family": "convnet", "blocks": blocks, "hidden": []}
    config = tiny_config(model=model, train={"batch_size": 1})
    (report,) = shoal_of({0: config}).train_epoch().values()
    check_reports([report], alone(config, 1)[1], 1e-4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
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
