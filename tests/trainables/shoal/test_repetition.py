"""A step of a shoal can be recorded and done again by the device alone, with the same results."""

from __future__ import annotations

import pytest

from tests.support.lanes import KINDS, Configs, check_states, shoal_of
from tests.support.recording import Recorded
from tests.support.tiny_training import tiny_data


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
