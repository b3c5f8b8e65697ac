"""Every lane of a shoal is trained as it would be by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.support.lanes import (
    NORMS,
    alone,
    check_reports,
    check_states,
    in_bfloat16,
    lane_config,
    more_settings,
    shoal_of,
)
from tests.support.tiny_training import CPU, tiny_config, tiny_data
from trainables.data.splits import Data
from trainables.training import Training

each_family = pytest.mark.parametrize("family", ["mlp", "convnet"])


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
@each_family
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_lane_is_trained_as_it_would_be_by_itself(optimizer: str, family: str) -> None:
    configs = {lane: lane_config(lane, optimizer, family) for lane in range(24)}
    shoal = shoal_of(configs)
    epochs = [shoal.train_epoch() for _ in range(3)]
    for lane, config in configs.items():
        training, reports = alone(config, 3)
        check_reports([epoch[lane] for epoch in epochs], reports, 1e-8)
        # single weights have no gradient but rounding, which adaptive optimizers make a step of
        check_states(shoal.extract(lane), training.state_dict(), 1e-5)
        check_states(shoal.weights(lane), training.weights(), 1e-5)


@each_family
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_in_float32_a_lane_is_trained_as_it_would_be_by_itself(optimizer: str, family: str) -> None:
    data = tiny_data(train=24)  # batches of two make much of rounding where there is batch norm
    configs = {lane: lane_config(lane, optimizer, family) for lane in range(24)}
    epoch = shoal_of(configs, data).train_epoch()
    for lane, config in configs.items():
        ours, (theirs,) = epoch[lane].metrics, alone(config, 1, data)[1]
        # a bias in front of batch norm has no gradient but rounding, which adam makes a step of
        has_batch_norm = "norm': 'batch'" in str(config.model.model_dump())
        names = ["train_loss"] if has_batch_norm else ["train_loss", "val_loss"]
        for name in names:
            assert ours[name] == pytest.approx(theirs.metrics[name], rel=1e-4), (lane, name)


@each_family
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_in_bfloat16_a_lane_computes_what_it_would_by_itself(optimizer: str, family: str) -> None:
    """Norms add up in another order, which rounding to 8 bits may show. All else is the same."""
    data = tiny_data(train=24)  # batches of two make much of rounding where there is batch norm
    configs = {lane: in_bfloat16(lane_config(lane, optimizer, family)) for lane in range(24)}
    shoal = shoal_of(configs, data)
    epoch = shoal.train_epoch()
    for lane, config in configs.items():
        training, (report,) = alone(config, 1, data)
        has_norm = any(f"norm='{name}'" in str(config.model) for name in NORMS[1:])
        expected = pytest.approx(report.metrics["train_loss"], rel=2**-7 if has_norm else 1e-5)
        assert epoch[lane].metrics["train_loss"] == expected, lane
        if not has_norm:
            check_states(shoal.extract(lane), training.state_dict(), 1e-5)


@pytest.mark.usefixtures("float64")
@each_family
@pytest.mark.parametrize("drops_weights", [True, False])
def test_all_other_settings_are_those_of_a_training_by_itself(
    family: str, drops_weights: bool
) -> None:
    configs = {}
    for lane in range(12):
        model, train = more_settings(lane)
        model |= {"family": family, "dropconnect": model["dropconnect"] * drops_weights}
        configs[lane] = tiny_config(model=model, train=train, seed=lane)
    shoal = shoal_of(configs)
    epochs = [shoal.train_epoch() for _ in range(3)]
    for lane, config in configs.items():
        training, reports = alone(config, 3)
        check_reports([epoch[lane] for epoch in epochs], reports, 1e-8)
        check_states(shoal.extract(lane), training.state_dict(), 1e-5)
        resumed = Training(config, tiny_data(), CPU)
        resumed.load_state_dict(shoal.extract(lane))
        check_reports([next(resumed)], [shoal.train_epoch([lane])[lane]], 1e-8)


@pytest.mark.usefixtures("float64")
def test_a_regression_and_two_classes_are_trained_as_by_themselves() -> None:
    for changes, data in (
        ({"regression": True, "train": {"batch_size": 8}}, tiny_data(regression=True)),
        ({"regression": True, "train": {"mixup": 0.4}}, tiny_data(regression=True)),
        ({"train": {"batch_size": 8}}, two_classes()),
    ):
        configs = {lane: tiny_config(seed=lane, **changes) for lane in range(3)}
        shoal = shoal_of(configs, data)
        epochs = [shoal.train_epoch() for _ in range(2)]
        for lane, config in configs.items():
            check_reports([epoch[lane] for epoch in epochs], alone(config, 2, data)[1], 1e-8)


def two_classes() -> Data:
    data = tiny_data()
    splits = [
        replace(split, targets=split.targets.clip(max=1)) for split in (data.train, data.validation)
    ]
    return replace(data, train=splits[0], validation=splits[1], class_names=("dark", "other"))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    "model",
    [
        {"hidden": [6], "activation": "none"},
        {
            "family": "convnet",
            "blocks": [{"channels": 3, "norm": "none"}, {"channels": 3, "norm": "batch"}],
            "hidden": [],
        },
    ],
    ids=["mlp", "convnet"],
)
@pytest.mark.parametrize("lr", [1e3, 1e300])
def test_a_lane_that_diverges_reports_as_by_itself_and_changes_no_other(
    lr: float, model: dict[str, Any]
) -> None:
    """The epoch of a training that is lost ends at its next look, every 50 steps."""
    data = tiny_data(train=130)
    train = {"batch_size": 2, "optimizer": "sgd"}
    lost = tiny_config(train={**train, "lr": lr}, model=model)
    sound = {
        lane: tiny_config(train={**train, "lr": 0.01}, model=model, seed=lane) for lane in (0, 2)
    }
    with_it, without_it = shoal_of({**sound, 1: lost}, data), shoal_of({**sound, 1: sound[0]}, data)
    for epoch in range(2):
        ours, others = with_it.train_epoch(), without_it.train_epoch()
        if epoch == 0:
            check_reports([ours[1]], alone(lost, 1, data)[1], 1e-8)
            assert not math.isfinite(ours[1].metrics["train_loss"])
            assert [step for step, _ in ours[1].steps] == [50]
        for lane in sound:
            assert ours[lane] == others[lane]
    for lane in sound:
        check_states(with_it.weights(lane), without_it.weights(lane), 0.0)


@pytest.mark.usefixtures("float64")
@each_family
def test_neighbours_change_nothing_wherever_they_stand(family: str) -> None:
    """But for rounding: which numbers a vector instruction takes together depends on the place."""
    configs = {lane: lane_config(lane, family=family) for lane in range(16)}
    backwards = {lane: configs[15 - lane] for lane in range(16)}
    some = {lane: configs[lane] for lane in (1, 4, 7)}
    shoals = shoal_of(configs), shoal_of(backwards), shoal_of(some)
    whole, turned, few = ([shoal.train_epoch() for _ in range(2)] for shoal in shoals)
    for epoch in range(2):
        for lane in configs:
            check_reports([turned[epoch][15 - lane]], [whole[epoch][lane]], 1e-8)
        for lane in some:
            check_reports([few[epoch][lane]], [whole[epoch][lane]], 1e-8)


@pytest.mark.usefixtures("float64")
@each_family
def test_a_lane_that_is_admitted_in_mid_run_equals_one_from_the_start(family: str) -> None:
    configs = {lane: lane_config(lane, family=family) for lane in range(6)}
    first = shoal_of(configs)
    expected = [first.train_epoch() for _ in range(4)]
    shoal = shoal_of({lane: configs[lane] for lane in range(5)})
    shoal.train_epoch()
    shoal.train_epoch()
    shoal.evict(2)
    shoal.admit(5, configs[5])
    found = [shoal.train_epoch() for _ in range(2)]
    for lane, begun in ((5, 0), (0, 2), (1, 2), (3, 2), (4, 2)):
        ours = [epoch[lane] for epoch in found]
        check_reports(ours, [epoch[lane] for epoch in expected[begun : begun + 2]], 1e-8)


@pytest.mark.usefixtures("float64")
def test_lanes_that_are_not_asked_for_stand_still() -> None:
    configs = {lane: lane_config(lane) for lane in range(6)}
    together, apart = shoal_of(configs), shoal_of(configs)
    expected = together.train_epoch()
    for lanes in ([3, 1, 5], [0, 2, 4]):
        found = apart.train_epoch(lanes)
        assert sorted(found) == sorted(lanes)
        for lane, report in found.items():
            check_reports([report], [expected[lane]], 1e-8)
    for lane in configs:
        check_states(apart.weights(lane), together.weights(lane), 1e-6)


@pytest.mark.usefixtures("float64")
@each_family
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_lane_goes_on_alone_and_a_training_in_a_shoal(optimizer: str, family: str) -> None:
    configs = {lane: lane_config(lane, optimizer, family) for lane in range(12)}
    shoal = shoal_of(configs)
    for _ in range(2):
        shoal.train_epoch()
    left = shoal.state_dict()
    went_on = [shoal.train_epoch() for _ in range(2)]
    joined = shoal_of({99: configs[0]}, lanes=13)
    for lane, config in configs.items():
        training = Training(config, tiny_data(), CPU)
        training.load_state_dict(left[lane])
        check_reports(list(training), [epoch[lane] for epoch in went_on], 1e-8)
        before, _ = alone(config, 2)
        joined.admit(lane, config, before.state_dict())
    again = [joined.train_epoch(configs) for _ in range(2)]
    for lane in configs:
        check_reports([epoch[lane] for epoch in again], [epoch[lane] for epoch in went_on], 1e-8)


def test_a_lane_ends_with_its_epochs_or_its_patience() -> None:
    train = {"batch_size": 8, "lr": 1e-12, "optimizer": "sgd"}
    configs = {
        0: tiny_config(train=train, epochs=2),
        1: tiny_config(train={**train, "patience": 1}),
        2: tiny_config(train=train),
    }
    shoal = shoal_of(configs)
    epochs = [shoal.train_epoch() for _ in range(5)]
    assert [sorted(epoch) for epoch in epochs] == [[0, 1, 2], [0, 1, 2], [2], [2], []]
    assert epochs[1][1].is_last
