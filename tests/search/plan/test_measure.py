"""What is measured, by real trainings: built-in models, many as one, the user's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from search.control.view import Silent
from search.plan import measure as measurement
from search.plan.brief_search import Extent
from search.plan.configurations import Configurations, configurations_of
from search.plan.driver_seconds import proposal_seconds
from search.plan.measure import measure
from search.plan.plan import Asked, answered
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.problems import RunError
from spaces.space import Drawn
from tests.support import examples
from tests.support.fused import small
from trainables.data.splits import load_data

CODE = """
import time

def sleeps(config, context):
    for _ in range(context.epoch, context.max_epochs):
        time.sleep(0.05)
        context.save({"x": 1})
        yield {"val_loss": config["x"]}

def prepares(config, context):
    time.sleep(1.0)
    yield from sleeps(config, context)

def returns(config, context):
    print("a line that the code prints")
    time.sleep(0.05)
    return {"val_loss": config["x"]}

def fails(config, context):
    raise ValueError("no file data.bin")

def fails_at_times(config, context):
    if context.trial > 0:
        raise ValueError("too large")
    yield from sleeps(config, context)
"""


@pytest.fixture(autouse=True)
def as_few_epochs_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "_BUILT_IN", Extent(epochs=3))
    monkeypatch.setattr(measurement, "_OWN_CODE", Extent(epochs=2))


class Told(Silent):
    """Keeps the notes."""

    def note(self, message: str) -> None:
        self.notes.append(message)


def own_code(folder: Path, function: str, **changes: Any) -> Experiment:
    (folder / "own.py").write_text(CODE)
    data = {
        "name": "own",
        "trainable": "own.py:" + function,
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "baseline": {"x": 0.5},
        "metric": "val_loss",
        "scheduler": {"max_epochs": 4},
        "budget": {"trials": 5},
        "engine": "inline",
        **changes,
    }
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(data))
    return load_experiment(str(file))


def test_a_built_in_model_is_timed_and_its_checkpoint_weighed() -> None:
    experiment = examples.experiment(engine="inline")
    found = measure(experiment, Silent(), "shoal plan made")
    assert found.trained == 6
    assert found.as_one is None
    costs = found.costs
    assert all(seconds > 0 for seconds in costs.epochs)
    assert len(costs.epochs) == 60
    weights = 64 * 16 + 16 + 16 * 10 + 10
    assert costs.checkpoint_bytes > 3 * 4 * weights  # with what Adam keeps
    assert costs.run_bytes > 100
    assert costs.opening > 0
    assert costs.closing > 0
    assert [count for count, _ in costs.proposals] == [0, 1]


def test_many_are_timed_as_one_model() -> None:
    found = measure(small(engine="fused", budget={"trials": 12}), Silent(), "shoal plan made")
    assert found.engine.name == "fused"
    assert found.together is not None
    assert found.together.lanes == 4
    assert found.together.seconds > 0


def test_own_code_is_timed_by_its_reports(tmp_path: Path) -> None:
    found = measure(own_code(tmp_path, "sleeps"), Silent(), "shoal plan own")
    assert found.trained == 4
    assert found.costs.baseline >= 0.05
    assert min(found.costs.epochs) >= 0.05
    assert found.last_epoch is None


def test_what_own_code_does_before_its_first_epoch_is_not_in_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "_OWN_CODE", Extent(2, 0.5, most_seconds=10, all_seconds=0.1))
    costs = measure(own_code(tmp_path, "prepares"), Silent(), "shoal plan own").costs
    assert costs.baseline < 1.0 < costs.beginning + costs.baseline


def test_of_long_epochs_of_own_code_one_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "_OWN_CODE", Extent(2, 0.5, most_seconds=0.9, all_seconds=0.1))
    costs = measure(own_code(tmp_path, "prepares"), Silent(), "shoal plan own").costs
    assert costs.baseline >= 1.0


def test_code_that_reports_once_is_planned_with_one_epoch(tmp_path: Path) -> None:
    experiment = own_code(tmp_path, "returns")
    found = measure(experiment, Silent(), "shoal plan own")
    assert found.last_epoch == 1
    row = answered(experiment, Asked(workers=1), found).row
    assert (row.epochs.low, row.epochs.high) == (5, 5)


def test_a_baseline_that_fails_is_told_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        measure(own_code(tmp_path, "fails"), Silent(), "shoal plan own.yaml")
    told = str(caught.value)
    assert told.startswith("the baseline failed before its first report:\nTraceback")
    assert told.endswith("ValueError: no file data.bin\nonce that is mended: shoal plan own.yaml")


def test_without_a_baseline_all_must_fail(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="each configuration that was tried failed"):
        measure(own_code(tmp_path, "fails", baseline=None), Silent(), "shoal plan own.yaml")


def test_other_configurations_may_fail(tmp_path: Path) -> None:
    view = Told()
    found = measure(own_code(tmp_path, "fails_at_times"), view, "shoal plan own")
    assert found.trained == 1
    assert set(found.costs.epochs) == {found.costs.baseline}
    assert "trial 1 failed: ValueError: too large" in view.notes


def made(work: list[tuple[float, float]]) -> Configurations:
    return Configurations([Drawn({}, {})] * len(work), True, np.array(work))


def test_the_corners_are_measured_after_the_baseline() -> None:
    found = made([(5.0, 0.0), *((float(layers), 1e5) for layers in (7, 3, 9, 1, 4, 8, 2))])
    assert found.measured()[:3] == [0, 4, 3]
    assert len(set(found.measured())) == 6
    assert found.dearest() == 3
    assert made([(1.0, 1.0)]).measured() == [0]


def test_what_an_epoch_takes_follows_from_layers_and_operations() -> None:
    work = [(10.0, 1e6), (20.0, 1e6), (10.0, 5e6), (40.0, 9e6), (30.0, 2e6)]
    truth = [0.001 * layers + 1e-7 * operations + 0.5 for layers, operations in work]
    seconds = made(work).seconds({place: truth[place] for place in (0, 1, 2, 3)})
    assert seconds == pytest.approx(truth, rel=1e-6)


def test_the_work_of_configurations_grows_with_their_size() -> None:
    networks = {"narrow": {"hidden": [16]}, "wide": {"hidden": [256]}}
    experiment = examples.experiment(
        space={"network": networks, "batch_size": [16, 128]},
        baseline={"network": "narrow", "batch_size": 128},
    )
    data = load_data(experiment.dataset, experiment.seed)
    found = configurations_of(experiment, data)
    assert found.has_baseline
    assert found.work is not None
    by_params = {tuple(d.params.values()): w for d, w in zip(found.drawn, found.work, strict=True)}
    assert by_params["wide", 16][1] > 10 * by_params["narrow", 16][1]
    assert by_params["narrow", 16][0] > 7 * by_params["narrow", 128][0]
    assert found.drawn[found.dearest()].params == {"network": "wide", "batch_size": 16}


@pytest.mark.parametrize("sampler", ["curves", "tpe", "random", "qmc", "cmaes", "grid"])
def test_every_sampler_is_timed(sampler: str) -> None:
    space = {"activation": ["tanh", "relu"], "batch_size": [16, 32, 64]}
    changes = {"space": space} if sampler == "grid" else {}
    experiment = examples.experiment(sampler=sampler, **changes)
    found = proposal_seconds(experiment, 10)
    assert found[0][0] == 0
    assert all(seconds > 0 for _, seconds in found)
    assert len(found) <= 10
