"""The engine that is measured, and taken where it is faster."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.record.folder import RunFolder
from search.control.view import Silent
from search.lifecycle import start_search
from search.session import Host
from search.transport.auto import Auto, Places, _expected_epochs, choose, places_here
from search.transport.inline import Inline
from search.transport.lanes.fused import Fused
from search.transport.lanes.groups import Groups
from search.transport.lanes.speed import Speed, measured_speed
from search.transport.on_ray.tune import Tune
from tests.support import examples
from tests.support.fused import SPACE, check_trained_as_alone, small, told
from tests.support.invariants import check_ended_once
from trainables.data.splits import Data, load_data
from trainables.shoal.kind import kind_of

CPU = torch.device("cpu")


def speed(alone: float, together: float) -> Speed:
    return Speed(alone, together, frozenset(), lanes=16)


LONG = 1e6  # epochs beside which the start of Ray does not count


@pytest.mark.parametrize(
    ("measured", "places", "epochs", "engine"),
    [
        (speed(1.0, 0.1), Places(trials=2, groups=1), LONG, "here"),
        (speed(1.0, 0.5), Places(trials=2, groups=1), LONG, "here"),
        (speed(1.0, 0.51), Places(trials=2, groups=1), LONG, "tune"),
        (speed(1.0, 0.51), Places(trials=2, groups=1), 1090, "here"),
        (speed(1.0, 0.51), Places(trials=2, groups=1), 1110, "tune"),
        (speed(1.0, 0.51), Places(trials=2, groups=1), math.inf, "tune"),
        (speed(1.0, 1.0), Places(trials=1, groups=1), LONG, "here"),
        (speed(1.0, 0.1), Places(trials=16, groups=15), LONG, "groups"),
        (speed(1.0, 0.1), Places(trials=16, groups=15), 10, "here"),
        (speed(1.0, 0.9), Places(trials=16, groups=15), LONG, "groups"),
        (speed(1.0, 1.0), Places(trials=16, groups=15), LONG, "tune"),
        (speed(1.0, 0.1), Places(trials=4, groups=4), LONG, "groups"),
    ],
)
def test_what_ends_soonest_by_the_measurement_is_chosen(
    measured: Speed, places: Places, epochs: float, engine: str
) -> None:
    assert choose(measured, places, epochs).engine == engine


def test_what_was_measured_is_told() -> None:
    two = Places(trials=2, groups=1)
    expected = "fused, trials train as one model: 5 times as fast as 2 at a time one by one"
    assert choose(speed(1.0, 0.1), two, LONG).sentence == f"{expected} (measured)"
    expected = "tune; as one model they would train 0.5 times as fast as 2 at a time one by one"
    assert choose(speed(1.0, 1.0), two, LONG).sentence == f"{expected} (measured)"
    short = choose(speed(0.1, 0.1), two, 100).sentence
    expected = "fused, trials train as one model: 0.5 times as fast as 2 at a time one by one"
    assert short == f"{expected} (measured), and need not wait for Ray"


def test_the_epochs_of_a_search_are_those_that_its_trials_take_on_the_average() -> None:
    asha = {"name": "asha", "min_epochs": 1, "max_epochs": 9, "reduction_factor": 3}
    assert _expected_epochs(small(scheduler=asha, budget={"trials": 12})) == 12 * (
        1 + 2 / 3 + 6 / 9
    )
    none = {"name": "none", "max_epochs": 9}
    assert _expected_epochs(small(scheduler=none, budget={"trials": 12})) == 12 * 9
    assert _expected_epochs(small(scheduler=asha, budget={"trials": 12, "epochs": 5})) == 5
    assert _expected_epochs(small(scheduler=asha, budget={"hours": 1})) == math.inf


def digits(**changes: Any) -> tuple[Any, Data]:
    experiment = small(**changes)
    return experiment, load_data(experiment.dataset, experiment.seed)


def test_the_kinds_that_gain_nothing_are_those_that_are_not_faster() -> None:
    sizes = {"small": {"hidden": [8]}, "large": {"hidden": [16]}}
    baseline = {"lr": 0.01, "dropout": 0.1, "activation": "relu", "norm": "none", "size": "small"}
    experiment, data = digits(space={**SPACE, "size": sizes}, baseline=baseline)
    state = torch.get_rng_state()
    found = measured_speed(experiment, data, CPU, lanes=[2, 4])
    assert found is not None
    assert 0 < found.together <= found.alone
    assert len(found.slower) <= 2
    assert found.lanes in (2, 4)
    assert torch.equal(torch.get_rng_state(), state)


def test_kinds_have_their_share_of_the_lanes_and_one_of_few_gains_nothing() -> None:
    sizes = {f"{width}": {"hidden": [width]} for width in range(4, 30)}
    experiment, data = digits(space={**SPACE, "size": sizes}, baseline=None)
    found = measured_speed(experiment, data, CPU, lanes=[8])
    assert found is not None
    assert found.together == found.alone  # the most common has less than 2 of 8 lanes
    assert len(found.slower) == 3


def test_a_model_that_trains_for_too_long_or_is_too_large_is_not_measured_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    experiment, data = digits(space=SPACE)
    monkeypatch.setattr("search.transport.lanes.speed._MOST_SECONDS", 1e-6)
    found = measured_speed(experiment, data, CPU, lanes=[8])
    assert found is not None
    assert found.together == found.alone
    monkeypatch.undo()
    monkeypatch.setattr("search.transport.lanes.speed._MOST_BYTES", 1000)
    found = measured_speed(experiment, data, CPU, lanes=[8])
    assert found is not None
    assert found.together == found.alone


def test_models_that_can_not_swim_are_not_measured() -> None:
    experiment, data = digits(space={**SPACE, "compile": [True]}, baseline=None)
    assert measured_speed(experiment, data, CPU, lanes=[2, 4]) is None


def test_kinds_that_are_slower_as_one_model_train_as_by_themselves(tmp_path: Path) -> None:
    experiment, _ = digits(budget={"trials": 6})
    from search.transport.first_config import first_configs

    kinds = frozenset(kind_of(config) for config in first_configs(experiment))  # type: ignore[arg-type]
    alone = Host(transport=Fused(4, slower=kinds))
    start_search(experiment, RunFolder(tmp_path / "alone"), alone)
    start_search(experiment, RunFolder(tmp_path / "inline"), Host(transport=Inline(slots=2)))
    assert told(tmp_path / "alone") == told(tmp_path / "inline")


def test_a_search_says_which_engine_it_takes(tmp_path: Path) -> None:
    view = Silent()
    start_search(small(), RunFolder(tmp_path), Host(view=view))
    notes = [note for note in view.notes if note.startswith("engine: ")]
    assert len(notes) == 1
    assert notes[0].endswith("(measured)")
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"isolate": True}, {"epoch_timeout_seconds": 60}, {"budget": {"trials": 5}}],
    ids=["isolate", "timeout", "few trials"],
)
def test_what_needs_processes_or_has_few_trials_is_not_measured(changes: Any) -> None:
    experiment, data = digits(**changes)
    view = Silent()
    assert isinstance(Auto()._choose(experiment, view, data), Tune)
    assert view.notes == []


def test_own_code_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    experiment = examples.own_code_experiment(tmp_path)
    assert isinstance(Auto()._choose(experiment, Silent(), None), Tune)


def test_settings_that_do_not_fit_the_data_are_told_by_their_trials(tmp_path: Path) -> None:
    experiment, data = digits(model={"hidden": [16], "family": "mlp"}, train={"batch_size": 1})
    view = Silent()
    chosen = Auto()._choose(experiment, view, data)  # batch norm of single samples, in some
    assert isinstance(chosen, Tune | Fused | Groups)


def test_the_room_on_this_machine_leaves_a_cpu_to_the_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.transport.auto.cpu_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert places_here(small(resources={"cpus": 2})) == (Places(4, 3), CPU)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    cuda = torch.device("cuda")
    assert places_here(small(resources={"gpus": 0.25})) == (Places(8, 2), cuda)
    assert places_here(small(resources={"gpus": 0})) == (Places(8, 7), CPU)
    assert places_here(small(resources={"gpus": 0, "cpus": 0.1})) == (Places(8, 7), CPU)
    assert places_here(small(resources={"gpus": 0.25, "cpus": 4})) == (Places(2, 2), cuda)
    assert places_here(small(resources={"cpus": 9})) == (None, cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert places_here(small(resources={"gpus": 1})) == (None, CPU)
