"""What a plan says, given what was measured: workers, devices, money, disk, budgets that fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.display.plain import json_text
from search.plan.costs import Costs, Together
from search.plan.crews import Engine, gpus_of, workers_on
from search.plan.measure import Measured
from search.plan.plan import Asked, Plan, answered
from spaces.problems import InputError
from spaces.resources import Resources
from tests.support import examples

ALL = {"name": "none", "max_epochs": 3}
COSTS = Costs(baseline=600.0, epochs=[600.0], checkpoint_bytes=1000.0, run_bytes=10.0)
TUNE, INLINE = Engine("tune", workers=2), Engine("inline")


def plan(asked: Asked, engine: Engine = INLINE, costs: Costs = COSTS, **changes: Any) -> Plan:
    """The plan of 12 trials of 3 epochs of 10 minutes each."""
    experiment = examples.experiment(**{"scheduler": ALL, "resources": {"gpus": 0}, **changes})
    as_one = None
    if engine.lanes > 1:
        as_one = Costs(600.0, [600.0], together=Together(engine.lanes, 900.0))
    return answered(experiment, asked, Measured(costs, as_one, engine, trained=6))


def test_a_row_says_what_a_search_takes_and_gives() -> None:
    row = plan(Asked(workers=1)).row
    assert row.seconds.low == row.seconds.typical == row.seconds.high == 12 * 3 * 600
    assert (row.trials.typical, row.epochs.typical, row.completed.typical) == (12, 36, 12)
    assert row.busy == 1.0
    assert row.device_hours == 6.0
    assert row.disk_bytes == (12 + 1) * 1000 + 36 * 10  # the one that runs has two checkpoints
    assert row.cost(2.5) == 15.0
    assert row.cost(None) is None


def test_a_device_is_paid_for_as_long_as_the_search_lasts() -> None:
    row = plan(Asked(workers=8), TUNE).row
    hours = row.seconds.typical / 3600
    assert 1.0 < hours < 1.1  # 12 trials of half an hour, 8 at a time, and what Ray takes
    assert row.device_hours == 8 * hours
    assert row.busy == pytest.approx(36 / 6 / (8 * hours))


def test_workers_are_compared_up_to_the_first_number_that_helps_no_more() -> None:
    found = plan(Asked(), TUNE)
    assert [row.workers for row in found.rows] == [1, 2, 4, 8, 16, 32]
    assert found.useful_workers == 16
    assert found.workers == 2
    assert found.row is found.rows[1]


def test_the_more_workers_the_more_trials_are_trained_in_so_many_hours() -> None:
    found = plan(Asked(), TUNE, budget={"hours": 10}, scheduler={"max_epochs": 9})
    trials = [row.trials.typical for row in found.rows]
    assert [row.workers for row in found.rows] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert trials == sorted(trials)
    assert trials[-1] > 100 * trials[0]
    assert found.useful_workers is None


def test_an_engine_in_this_process_has_one_worker() -> None:
    found = plan(Asked())
    assert [(row.workers, row.engine) for row in found.rows] == [(1, "inline")]


def test_auto_trains_as_one_model_here_and_one_by_one_in_several_processes() -> None:
    here = Engine("fused", lanes=4, stays_here=True)
    rows = plan(Asked(), here).rows
    assert [(row.engine, row.lanes) for row in rows[:2]] == [("fused", 4), ("tune", 1)]
    assert rows[0].seconds.typical == 3 * 3 * 900
    fused = plan(Asked(), Engine("fused", lanes=4)).rows
    assert [row.engine for row in fused[:3]] == ["fused"] * 3
    assert [row.lanes for row in fused[:3]] == [4, 2, 1]  # a third of the trials at once, at most


@pytest.mark.parametrize(
    ("resources", "gpus", "workers"),
    [({}, 4, 4), ({"gpus": 0.25}, 2, 8), ({"gpus": 2}, 5, 2), ({"gpus": "pack"}, 3, 3)],
)
def test_gpus_train_as_many_trials_as_their_shares_allow(
    resources: dict[str, Any], gpus: int, workers: int
) -> None:
    assert workers_on(Resources(**resources), gpus) == workers


def test_gpus_that_no_trial_uses_or_too_few_for_one_are_refused() -> None:
    with pytest.raises(InputError, match=r"--gpus: resources\.gpus is 0, so no trial uses one"):
        workers_on(Resources(gpus=0), 2)
    with pytest.raises(InputError, match=r"a trial needs 4 GPUs \(resources\.gpus\), got 2"):
        workers_on(Resources(gpus=4), 2)


def test_devices_are_gpus_where_trials_use_any() -> None:
    assert gpus_of(Resources(gpus=0.25), 8) == 2
    assert gpus_of(Resources(gpus=0.25), 9) == 3
    assert gpus_of(Resources(gpus=2), 3) == 6
    assert gpus_of(Resources(gpus=0, workers=2), 3) == 0
    row = plan(Asked(workers=3), TUNE, resources={"gpus": 0, "workers": 2}).row
    assert row.devices == 6
    assert plan(Asked(gpus=2), TUNE, resources={"gpus": 0.5}).row.devices == 2


def test_the_budgets_that_fit_end_in_time_and_one_more_would_not() -> None:
    found = plan(Asked(workers=1, hours=5.0))
    assert found.budgets is not None
    assert [(b.scheduler.max_epochs, b.trials, b.completed) for b in found.budgets] == [
        (1, 30, 30),
        (3, 10, 10),
        (9, 3, 3),
    ]
    assert all(budget.seconds <= 5 * 3600 for budget in found.budgets)


def test_with_rungs_each_reduction_factor_has_its_own_number_of_trials() -> None:
    asha = {"name": "asha", "min_epochs": 1, "max_epochs": 9, "reduction_factor": 3}
    found = plan(Asked(workers=4, hours=20.0), TUNE, scheduler=asha, sampler="random")
    assert found.budgets is not None
    pairs = [(b.scheduler.max_epochs, b.scheduler.reduction_factor) for b in found.budgets]
    assert pairs == [(epochs, factor) for epochs in (3, 9, 27) for factor in (2, 3, 4)]
    assert all(0 < budget.seconds <= 20 * 3600 for budget in found.budgets)
    assert all(budget.completed <= budget.trials for budget in found.budgets)


def test_a_budget_of_many_days_is_told_without_simulating_all_of_it() -> None:
    found = plan(Asked(workers=1, hours=5e5))
    assert found.budgets is not None
    middle = found.budgets[1]
    assert middle.trials == 1_000_000
    assert middle.seconds == pytest.approx(5e5 * 3600)
    assert middle.completed == pytest.approx(1_000_000)


def test_no_budget_has_more_trials_than_a_file_may_ask_for() -> None:
    costs = Costs(baseline=1e-3, epochs=[1e-3])
    found = plan(Asked(workers=1, hours=1e6), costs=costs)
    assert found.budgets is not None
    assert {budget.trials for budget in found.budgets} == {10**9}


def test_many_workers_have_budgets_too_where_all_first_trials_are_one_wave() -> None:
    found = plan(Asked(workers=200, hours=8.0), TUNE)
    assert found.budgets is not None
    assert [budget.scheduler.max_epochs for budget in found.budgets] == [1, 3, 9]
    for budget in found.budgets:
        assert 0.8 * 8 * 3600 < budget.seconds <= 8 * 3600


def test_code_that_ends_by_itself_is_not_planned_with_more_epochs() -> None:
    experiment = examples.experiment(scheduler=ALL, resources={"gpus": 0})
    measured = Measured(COSTS, None, INLINE, trained=6, last_epoch=3)
    found = answered(experiment, Asked(workers=1, hours=5.0), measured)
    assert found.budgets is not None
    assert max(budget.scheduler.max_epochs for budget in found.budgets) == 3


def test_no_budget_fits_where_one_trial_takes_longer() -> None:
    assert plan(Asked(workers=1, hours=0.1)).budgets == []


def test_a_grid_has_no_more_trials_than_combinations() -> None:
    space = {"activation": ["tanh", "relu"]}
    found = plan(Asked(workers=1, hours=50.0), sampler="grid", space=space, budget={})
    assert found.budgets is not None
    assert {budget.trials for budget in found.budgets} == {2}


def test_a_confirmation_is_told_apart() -> None:
    found = plan(Asked(workers=1), confirm={"top": 2, "seeds": 3})
    assert found.confirming is not None
    assert found.confirming.most_epochs == 3 * 3 * 3
    assert found.confirming.seconds == 27 * 600
    assert plan(Asked(workers=1)).confirming is None


def test_what_is_taken_for_granted_is_said() -> None:
    budget = {"trials": 12, "target": 0.9, "patience": 5}
    told = " ".join(plan(Asked(workers=1), budget=budget).assumptions)
    assert "How much the sampler learns" not in told  # without ASHA it does not matter
    assert "budget.target and budget.patience may end the search earlier." in told
    told = " ".join(plan(Asked(workers=1), scheduler="asha").assumptions)
    assert "How much the sampler learns is not known" in told
    freeze = {"name": "freeze_thaw", "max_epochs": 3}
    told = " ".join(plan(Asked(workers=1), scheduler=freeze, sampler="curves").assumptions)
    assert "freeze_thaw is taken to train as many epochs as asha" in told
    told = " ".join(plan(Asked(workers=1), resources={"gpus": 0, "workers": 2}).assumptions)
    assert "A trial was timed with one process" in told
    told = " ".join(plan(Asked(workers=3), TUNE).assumptions)
    assert "This machine has room for 2 workers; 3 need others that are as fast." in told


def test_the_document_is_plain_data_with_a_cost_where_there_is_a_price() -> None:
    found = plan(Asked(workers=1, hours=5.0), confirm={"top": 2, "seeds": 3})
    document = json.loads(json_text(found.document(price=2.0)))
    assert document["plans"][0]["cost"] == 12.0
    assert document["plans"][0]["seconds"] == {"low": 21600, "typical": 21600, "high": 21600}
    assert document["measured"]["epoch_seconds"]["typical"] == 600
    assert document["budgets"][1]["trials"] == 10
    assert document["budgets"][1]["cost"] == 2 * document["budgets"][1]["device_hours"] == 10.0
    assert document["confirming"] == {"most_epochs": 27, "seconds": 16200}
    assert json.loads(json_text(found.document(None)))["plans"][0]["cost"] is None
