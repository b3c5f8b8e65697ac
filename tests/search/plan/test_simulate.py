"""Searches in simulated time, in cases that can be reckoned by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.plan.costs import Costs, Crew, Together
from search.plan.simulate import simulate, simulated_epochs
from spaces.experiment import Experiment
from spaces.files import load_experiment
from tests.support import examples

ALL = {"name": "none", "max_epochs": 3}
REAL_EPOCHS = (406, 290, 340, 356, 404, 320, 370, 346, 494, 308)  # of quickstart, by its seed
SECOND = Costs(baseline=1.0, epochs=[1.0])


def search(trials: int = 4, **changes: Any) -> Experiment:
    """A search of so many trials of three epochs, none of which is stopped."""
    return examples.experiment(**{"scheduler": ALL, "budget": {"trials": trials}, **changes})


@pytest.mark.parametrize(("workers", "seconds"), [(1, 12), (2, 6), (3, 6), (4, 3), (9, 3)])
def test_workers_share_the_trials(workers: int, seconds: int) -> None:
    found = simulate(search(), SECOND, Crew(workers))
    assert (found.seconds, found.trained) == (seconds, 12)
    assert (found.trials, found.completed, found.epochs) == (4, 4, 12)


def test_what_comes_before_and_after_the_trials_counts_once_and_their_beginning_each_time() -> None:
    costs = replace(SECOND, opening=110.0, closing=1000.0, beginning=0.5)
    assert simulate(search(), costs, Crew(1)).seconds == 1110 + 4 * 3.5
    assert simulate(search(), costs, Crew(2)).seconds == 1110 + 2 * 3.5


def test_the_driver_proposes_and_takes_reports_one_after_the_other() -> None:
    costs = replace(SECOND, proposals=[(0, 5.0)])
    # the second trial begins 5 s after the first, and ends last
    assert simulate(search(trials=2), costs, Crew(2)).seconds == 5 + 5 + 3
    slow = replace(SECOND, report=2.0)
    # each epoch takes 1 s; from then on the driver has reports without a pause
    assert simulate(search(trials=2), slow, Crew(2)).seconds == 1 + 6 * 2


def test_a_proposal_takes_longer_the_more_trials_there_are() -> None:
    costs = replace(SECOND, proposals=[(0, 0.0), (2, 2.0)])
    assert [costs.proposal(trials) for trials in (0, 1, 2, 50)] == [0, 1, 2, 2]
    assert simulate(search(), costs, Crew(1)).seconds == 12 + 0 + 1 + 2 + 2


def test_the_baseline_takes_its_own_time() -> None:
    costs = replace(SECOND, baseline=5.0)
    baseline = {"lr": 0.1, "activation": "relu"}
    assert simulate(search(baseline=baseline), costs, Crew(1)).seconds == 15 + 9


def test_trials_that_train_as_one_model_share_its_epochs() -> None:
    together = replace(SECOND, together=Together(lanes=5, seconds=2.0))
    assert together.of_round([1.0] * 5) == 2.0
    assert together.of_round([1.0] * 3) == 1.5
    assert together.of_round([7.0]) == 7.0
    assert simulate(search(trials=5), together, Crew(1, lanes=5)).seconds == 3 * 2.0
    # 5 at a time, then the last one by itself
    assert simulate(search(trials=6), together, Crew(1, lanes=5)).seconds == 3 * 2.0 + 3 * 1.0
    assert simulate(search(trials=10), together, Crew(2, lanes=5)).seconds == 3 * 2.0


def test_a_budget_of_hours_or_epochs_ends_the_search() -> None:
    hours = search(budget={"hours": 10 / 3600})
    assert simulate(hours, SECOND, Crew(1)).seconds == 10
    epochs = simulate(search(budget={"epochs": 7}), SECOND, Crew(2))
    assert epochs.epochs == 7
    assert epochs.seconds == 4


def test_a_grid_ends_after_each_of_its_combinations() -> None:
    grid = search(
        budget={}, sampler="grid", space={"activation": ["tanh", "relu"], "batch_size": [32, 64]}
    )
    assert simulate(grid, SECOND, Crew(1)).trials == 4


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize("name", ["asha", "freeze_thaw"])
def test_about_one_in_so_many_goes_on_from_each_rung(metric: str, name: str) -> None:
    scheduler = {"name": name, "max_epochs": 9, "reduction_factor": 3}
    changes = {"scheduler": scheduler, "metric": metric, "sampler": "random"}
    found = simulate(search(trials=400, **changes), SECOND, Crew(4))
    assert found.trials == 400
    assert found.completed == pytest.approx(400 / 9, rel=0.3)
    assert found.epochs == pytest.approx(400 * (1 + 2 / 3 + 6 / 9), rel=0.15)


def test_the_same_seed_gives_the_same_search_and_another_one_another() -> None:
    asha = search(trials=60, scheduler={"name": "asha", "max_epochs": 27})
    assert simulate(asha, SECOND, Crew(2), 3) == simulate(asha, SECOND, Crew(2), 3)
    assert len({simulate(asha, SECOND, Crew(2), seed).epochs for seed in range(5)}) > 1


def test_the_last_trial_to_the_end_is_the_floor_of_the_wall_time() -> None:
    asha = search(trials=60, scheduler={"name": "asha", "max_epochs": 27})
    found = simulate(asha, SECOND, Crew(60))
    assert 27 <= found.seconds < 60


def test_a_space_whose_sampler_learns_trains_more_epochs() -> None:
    scheduler = {"name": "asha", "max_epochs": 27}
    learned = simulated_epochs(search(trials=60, scheduler=scheduler, sampler="curves"))
    by_chance = simulated_epochs(search(trials=60, scheduler=scheduler, sampler="random"))
    assert learned.typical > by_chance.typical


def test_the_more_the_sampler_learns_the_more_trials_go_on() -> None:
    changes = {"scheduler": {"name": "asha", "max_epochs": 27}, "sampler": "curves"}
    found = [simulate(search(trials=200, **changes), SECOND, Crew(1), 0, x) for x in (0, 0.5, 1)]
    assert found[0].completed < found[1].completed < found[2].completed
    by_chance = search(trials=200, **{**changes, "sampler": "random"})
    assert simulate(by_chance, SECOND, Crew(1), 0, 1.0) == found[0]


def test_the_range_holds_the_epochs_of_real_searches() -> None:
    told = simulated_epochs(load_experiment("quickstart"))
    assert [epochs for epochs in REAL_EPOCHS if not told.low <= epochs <= told.high] == []
    assert told.high < 4 * told.low


LONG = 10**6  # trials, epochs or hours


@pytest.mark.parametrize(
    ("budget", "trials"),
    [
        ({"trials": LONG}, LONG),
        ({"epochs": 3 * LONG}, LONG),
        ({"hours": LONG}, LONG * 3600 * 4 / 3),
        ({"trials": LONG, "hours": 100}, 100 * 3600 * 4 / 3),
    ],
)
def test_a_very_long_search_goes_on_as_its_first_trials_did(
    budget: dict[str, int], trials: float
) -> None:
    costs = replace(SECOND, opening=100.0, closing=20.0)
    found = simulate(search(budget=budget), costs, Crew(4))
    assert found.trials == pytest.approx(trials)
    assert found.completed == pytest.approx(trials, rel=1e-5)
    assert found.epochs == pytest.approx(3 * trials, rel=1e-5)
    assert found.trained == pytest.approx(3 * trials, rel=1e-5)
    assert found.seconds == pytest.approx(120 + 3 * trials / 4, rel=1e-5)


def test_a_search_is_as_long_whether_all_of_it_is_simulated_or_its_first_trials() -> None:
    asha = search(trials=1000, scheduler={"name": "asha", "max_epochs": 9}, sampler="random")
    told = simulate(asha, SECOND, Crew(8))
    whole = simulate(asha, SECOND, Crew(125))  # that many workers need all of it
    assert told.epochs == pytest.approx(whole.epochs, rel=0.1)
    assert told.trials == whole.trials == 1000
