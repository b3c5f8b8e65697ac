from __future__ import annotations

import warnings

import optuna
import pytest

from search.control.sampler import Sampler
from tests.support import examples
from tests.support.proposals import ask, begin, ended, experiment, propose, trial

SAMPLERS = ["tpe", "gp", "cmaes", "random", "qmc", "grid"]


def count(name: str) -> int:
    """Enough proposals to leave the random start; the Gaussian process takes its time."""
    return 13 if name == "gp" else 24


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_proposal_is_a_point_of_the_space(name: str) -> None:
    made_by = experiment(name)
    for params in propose(Sampler(made_by), range(count(name))):
        assert made_by.search_space.problems_with(params) == []


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_same_seed_and_history_give_the_same_proposals(name: str) -> None:
    first, second = (propose(Sampler(experiment(name)), range(count(name))) for _ in range(2))
    assert first == second
    assert propose(Sampler(experiment(name, seed=1)), range(9)) != first[:9]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("repeats", [1, 2])
def test_a_sampler_rebuilt_from_the_journal_goes_on_as_if_nothing_had_happened(
    name: str, repeats: int
) -> None:
    made_by = experiment(name, repeats=repeats)
    whole, cut = propose(Sampler(made_by), range(count(name))), count(name) - 3
    rebuilt = Sampler(made_by)
    for number in range(cut):
        begin(rebuilt, number, whole[number])
        if number >= 2:
            rebuilt.tell(ended(number - 2), worst=0.0)
    assert propose(rebuilt, range(cut, count(name))) == whole[cut:]


@pytest.mark.parametrize("name", SAMPLERS)
def test_with_repeats_each_configuration_is_proposed_so_many_times_in_a_row(name: str) -> None:
    proposals = propose(Sampler(experiment(name, repeats=3)), range(15))
    assert proposals[0::3] == proposals[1::3] == proposals[2::3]
    assert len({str(params) for params in proposals}) == 5


@pytest.mark.parametrize("name", ["cmaes", "qmc"])
def test_repeats_are_those_of_the_journal_where_a_sampler_would_propose_otherwise(
    name: str,
) -> None:
    sampler = Sampler(experiment(name, repeats=2))
    params = {"lr": 0.0051, "dropout": 0.5, "optimizer": "adam"}
    with pytest.warns(UserWarning, match="proposes trial 0 otherwise"):
        begin(sampler, 0, params)
    assert ask(sampler, 1) == params


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes", "random", "qmc"])
def test_proposals_differ_from_each_other(name: str) -> None:
    proposals = propose(Sampler(experiment(name, space=examples.SPACE)), range(12))
    assert len({str(params) for params in proposals}) == 12


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_baseline_is_trial_0(name: str) -> None:
    baseline = {"lr": 0.0051, "dropout": 0.5, "optimizer": "adam"}
    assert ask(Sampler(experiment(name, baseline=baseline)), 0) == baseline


def test_a_grid_gives_every_combination_once_and_then_none() -> None:
    space = {"activation": ["tanh", "relu"], "dropout": {"low": 0.0, "high": 0.2, "step": 0.1}}
    sampler = Sampler(
        experiment("grid", space=space, baseline={"activation": "relu", "dropout": 0.1})
    )
    proposals = propose(sampler, range(6))
    assert len({tuple(sorted(params.items())) for params in proposals}) == 6
    assert ask(sampler, 6) is None


def test_a_grid_with_repeats_ends_after_the_last_repeat() -> None:
    sampler = Sampler(experiment("grid", space={"activation": ["tanh", "relu"]}, repeats=3))
    proposals = propose(sampler, range(6))
    assert sorted(params["activation"] for params in proposals) == ["relu"] * 3 + ["tanh"] * 3
    assert ask(sampler, 6) is None


@pytest.mark.parametrize("name", ["tpe", "gp", "cmaes"])
def test_a_sampler_stays_away_from_where_trials_diverge(name: str) -> None:
    """Trials with lr above 0.1 diverge; the others are equally good."""
    made_by = examples.experiment(
        space={"lr": {"low": 0.001, "high": 0.2}}, sampler={"name": name}, seed=3
    )
    sampler, high = Sampler(made_by), 0
    for number in range(trials := 20 if name == "gp" else 50):
        params = ask(sampler, number)
        assert params is not None
        is_high = float(params["lr"]) > 0.1  # type: ignore[arg-type]
        high += is_high and number >= trials // 2
        values = [] if is_high else [0.5 + number % 5 / 100]
        sampler.tell(trial(number, "diverged" if is_high else "completed", values), worst=0.1)
    assert high <= trials / 8  # a quarter of all by chance


def test_a_proposal_prints_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SAMPLERS:
            propose(Sampler(experiment(name)), range(12))


def test_optuna_is_quiet_about_ended_trials() -> None:
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
