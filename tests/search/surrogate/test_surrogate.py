from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analysis.record.events import Created, Finished, Report
from analysis.record.trials import Trials
from search.surrogate.observations import Observations, _best
from search.surrogate.points import points_of
from search.surrogate.surrogate import ENOUGH, Surrogate
from spaces.experiment import Experiment
from spaces.metric import Metric
from tests.support import examples

FREEZE_THAW = {
    "sampler": "curves",
    "scheduler": {"name": "freeze_thaw", "max_epochs": 9},
    "seed": 3,
}


def worth(params: dict[str, object]) -> float:
    return 0.9 - 0.1 * abs(math.log10(float(params["lr"])) + 2)  # type: ignore[arg-type]


def informed(experiment: Experiment, count: int) -> tuple[Surrogate, Trials]:
    """A surrogate that has seen the first epoch of so many random trials, which wait."""
    trials = Trials()
    surrogate = Surrogate(experiment, trials)
    for number, params in enumerate(experiment.search_space.samples(count, seed=1)):
        for event in (
            Created(trial=number, params=params, seed=0),
            Report(
                trial=number, epoch=1, metrics={"val_accuracy": worth(params)}, decision="pause"
            ),
        ):
            trials.apply(event)
            surrogate.take(event)
    return surrogate, trials


def test_it_proposes_nothing_before_it_has_seen_enough() -> None:
    experiment = examples.experiment(**FREEZE_THAW)
    assert informed(experiment, ENOUGH - 1)[0].propose(100) is None
    proposals = [informed(experiment, ENOUGH)[0].propose(number) for number in range(100, 110)]
    assert any(proposal is not None for proposal in proposals)


def test_a_proposal_is_a_function_of_seed_number_and_what_was_seen() -> None:
    experiment = examples.experiment(**FREEZE_THAW)
    one, other = (informed(experiment, 30)[0] for _ in range(2))
    for _ in range(3):
        other.propose(77)
    assert [one.propose(n) for n in range(30, 40)] == [other.propose(n) for n in range(30, 40)]
    assert informed(experiment, 20)[0].propose(30) != one.propose(30)
    reseeded = examples.experiment(**{**FREEZE_THAW, "seed": 4})
    assert informed(reseeded, 30)[0].propose(30) != one.propose(30)


def test_a_share_of_the_proposals_is_left_to_chance_for_ever() -> None:
    surrogate, _ = informed(examples.experiment(**FREEZE_THAW), 20)
    chance = sum(surrogate.propose(number) is None for number in range(20, 220))
    assert 8 <= chance <= 35


def test_its_proposals_are_better_than_those_at_random() -> None:
    experiment = examples.experiment(**FREEZE_THAW)
    surrogate, trials = informed(experiment, 30)
    found = [surrogate.propose(number) for number in range(30, 60)]
    worths = [worth(params) for params in found if params is not None]
    assert np.median(worths) > np.median([worth(trial.params) for trial in trials]) + 0.05


def test_the_leader_is_near_the_best_and_of_those_that_wait_a_good_one_goes_on() -> None:
    surrogate, trials = informed(examples.experiment(**FREEZE_THAW), 30)
    ranked = sorted(trials, key=lambda trial: -worth(trial.params))
    assert surrogate.leader() in ranked[:5]
    assert surrogate.choose(None) in ranked[:10]


def test_a_space_that_is_a_function_is_searched_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_space.py").write_text(
        "def space(trial):\n"
        "    lr = trial.suggest_float('lr', 1e-4, 1.0, log=True)\n"
        "    kind = trial.suggest_categorical('activation', ['tanh', 'relu'])\n"
        "    if kind == 'relu' and lr > 1e-3:\n"
        "        trial.suggest_float('dropout', 0.0, 0.3)\n"
    )
    monkeypatch.chdir(tmp_path)
    experiment = examples.experiment(**FREEZE_THAW, space="own_space.py:space")
    surrogate, _ = informed(experiment, 30)
    found = [surrogate.propose(number) for number in range(30, 50)]
    proposed = [params for params in found if params is not None]
    assert np.median([worth(params) for params in proposed]) > 0.8
    for params in proposed:
        assert experiment.search_space.problems_with(params) == []


def test_what_diverged_or_failed_is_worse_than_the_worst_where_it_never_came() -> None:
    trials = Trials()
    observations = Observations(Metric(name="val_accuracy", mode="max"), [1, 3, 9])
    events = [
        Created(trial=0, params={}, seed=0),
        Created(trial=1, params={}, seed=0),
        Created(trial=2, params={}, seed=0),
        Report(trial=0, epoch=1, metrics={"val_accuracy": 0.9}, decision="continue"),
        Report(trial=1, epoch=1, metrics={"val_accuracy": 0.5}, decision="continue"),
        Report(trial=0, epoch=2, metrics={"val_accuracy": math.nan}, decision="stop"),
        Finished(trial=0, state="diverged", epoch=2),
        Finished(trial=2, state="failed", epoch=0),
    ]
    for event in events:
        trials.apply(event)
        if isinstance(event, Report):
            observations.report(trials.by_number[event.trial])
        elif isinstance(event, Finished):
            observations.end(trials.by_number[event.trial])
    stages, numbers, values = observations.shown(len(observations), 100)
    assert stages.tolist() == [0, 0, 1, 0]
    assert numbers.tolist() == [0, 1, 0, 2]
    assert values[0] > values[1] > values[2] == values[3]


def test_the_best_of_many_are_those_that_sorting_them_all_would_give() -> None:
    random = np.random.default_rng(0)
    for most in (1, 2, 50, 99, 100):
        values = np.round(-random.random(120), 1)  # many are equal
        values[random.random(120) < 0.3] = -100.0
        places = np.sort(random.permutation(120)[:100])
        best, others = _best(places, values, most)
        expected = places[np.argsort(-values[places], kind="stable")[:most]]
        assert best.tolist() == sorted(expected.tolist())
        assert others.tolist() == sorted({*places.tolist()} - {*expected.tolist()})


def test_of_very_many_a_part_is_shown_with_the_best_and_the_latest_deep_ones() -> None:
    metric = Metric(name="val_accuracy", mode="max")
    observations, trials = Observations(metric, [1, 3]), Trials()
    for number in range(500):
        trials.apply(Created(trial=number, params={}, seed=0))
        trial = trials.by_number[number]
        for epoch in range(1, 4 if number % 5 == 0 else 2):
            value = {"val_accuracy": (number * 0.37) % 1.0}
            report = Report(trial=number, epoch=epoch, metrics=value, decision="continue")
            trials.apply(report)
            observations.report(trial)
    stages, numbers, values = observations.shown(len(observations), 100)
    assert len(stages) == len(set(zip(stages.tolist(), numbers.tolist(), strict=True))) == 100
    assert (stages == 1).sum() == 50
    deep = numbers[stages == 1].tolist()
    assert set(range(400, 500, 5)) < set(deep)
    assert max(range(0, 500, 5), key=lambda n: (n * 0.37) % 1.0) in deep
    best = max(range(500), key=lambda n: (n * 0.37) % 1.0)
    assert best in numbers[stages == 0]
    assert values.mean() == pytest.approx(0.0, abs=1e-9)


def test_a_function_whose_ranges_depend_on_what_was_drawn_is_searched(tmp_path: Path) -> None:
    (tmp_path / "nested_space.py").write_text(
        "def space(trial):\n"
        "    lr = trial.suggest_float('lr', 1e-4, 1.0, log=True)\n"
        "    a = trial.suggest_int('hidden_layers', 1, 10)\n"
        "    trial.suggest_int('skip', 1, a)\n"
    )
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    experiment = examples.own_code_experiment(
        tmp_path, **FREEZE_THAW, space=f"{tmp_path}/nested_space.py:space"
    )
    points = points_of(experiment.search_space)
    random = np.random.default_rng(0)
    rows = points.random(40, random)
    for _ in range(5):
        rows = points.near(rows, random)
        for row in rows:
            params = points.params(row)
            assert experiment.search_space.problems_with(params) == []
    assert points.row({"lr": 1.0, "hidden_layers": 10, "skip": 10})[2] == 1.0
