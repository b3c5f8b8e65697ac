"""A step of a shoal can be recorded and done again by the device alone, with the same results."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from spaces.training_config import TrainConfig
from tests.support.lanes import check_states, in_bfloat16, lane_config, shoal_of
from tests.support.recording import Recorded
from tests.support.tiny_training import tiny_config, tiny_data
from tests.trainables.shoal.test_equality import more_settings

Configs = Mapping[int, TrainConfig]


def with_all_settings(family: str) -> Configs:
    """Lanes with accumulation, augmentation, class weights, penalties and clipping."""
    configs = {}
    for lane in range(4):
        model, train = more_settings(lane)
        configs[lane] = tiny_config(model={**model, "family": family}, train=train, seed=lane)
    return configs


KINDS = [
    pytest.param({lane: lane_config(lane, optimizer, family) for lane in range(8)}, id=name)
    for optimizer in ("adam", "sgd", "rmsprop")
    for family in ("mlp", "convnet")
    for name in [f"{family} {optimizer}"]
]
KINDS += [pytest.param(with_all_settings(kind), id=f"{kind} all") for kind in ("mlp", "convnet")]
KINDS += [pytest.param({n: in_bfloat16(lane_config(n)) for n in range(4)}, id="bfloat16")]


def trained(configs: Configs) -> dict[int, dict[str, object]]:
    """The states after two epochs."""
    shoal = shoal_of(configs, tiny_data(train=96))
    for _ in range(2):
        shoal.train_epoch()
    return shoal.state_dict()


@pytest.mark.parametrize("configs", KINDS)
def test_a_recorded_step_is_done_again_without_the_program(
    configs: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(configs)
    monkeypatch.setattr(Recorded, "made", [])
    monkeypatch.setattr("trainables.shoal.training_pass.Repeated", Recorded)
    found = trained(configs)
    assert len(Recorded.made) == 2
    assert all(recorded.repetitions >= 2 for recorded in Recorded.made)
    for lane, state in expected.items():
        check_states(found[lane], state, 0.0)
