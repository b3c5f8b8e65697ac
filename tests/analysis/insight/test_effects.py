"""Marginal effects and pairs, against calculations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.insight.effects import marginal_effects, pairs_of
from analysis.insight.importance import rung_importance
from spaces.parameters import Params
from tests.support import examples
from tests.support.landscapes import run, searched, wave

TWO = {"activation": ["tanh", "relu"], "init": ["xavier", "he"]}
TO_THE_END = {"name": "none", "max_epochs": 3}


def test_a_level_has_the_figures_of_its_values() -> None:
    experiment = examples.experiment(space={"activation": ["tanh", "relu"]}, scheduler=TO_THE_END)
    values = [0.0, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9]
    rows: list[Params] = [{"activation": "tanh"}] * 5 + [{"activation": "relu"}] * 2
    queue = iter([value for value in values for _ in range(3)])
    effects = marginal_effects(experiment, run(experiment, rows, lambda *_: next(queue)))
    tanh, relu = effects.parameters[0].levels
    assert (tanh.n, tanh.mean, tanh.sd) == (5, pytest.approx(0.3), pytest.approx(0.308221))
    reach = 2.776445 * 0.308221 / math.sqrt(5)  # Student's 97.5 % point at 4 degrees of freedom
    assert (tanh.low, tanh.high) == pytest.approx((0.0, 0.3 + reach))  # no accuracy is below 0
    assert tanh.quartiles == pytest.approx((0.0, 0.3, 0.5))
    assert tanh.values == ()
    assert (relu.n, relu.mean) == (2, pytest.approx(0.85))


def test_a_level_of_fewer_than_five_has_its_values_and_no_interval() -> None:
    experiment = examples.experiment(space={"activation": ["tanh", "relu"]}, scheduler=TO_THE_END)
    rows: list[Params] = [{"activation": "tanh"}] * 4
    queue = iter([value for value in (0.1, 0.9, 0.2, 0.8) for _ in range(3)])
    effects = marginal_effects(experiment, run(experiment, rows, lambda *_: next(queue)))
    tanh, relu = effects.parameters[0].levels
    assert (tanh.low, tanh.high) == (None, None)
    assert tanh.values == (0.1, 0.9, 0.2, 0.8)
    assert (relu.n, relu.values) == (0, ())


def test_values_are_all_of_one_epoch() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return epoch + 0.01 * noise.normal()

    made_run = searched(60, curve, scheduler={"max_epochs": 9})
    effects = marginal_effects(*made_run)
    assert (effects.epoch, effects.trials) == (1, 60)
    means = [level.mean for effect in effects.parameters for level in effect.levels]
    assert all(mean == pytest.approx(1, abs=0.1) for mean in means)
    later = marginal_effects(*made_run, epoch=3)
    assert later.trials < 60
    assert sum(level.n for level in later.parameters[0].levels) == later.trials


def test_a_pair_has_a_mean_and_a_count_in_each_cell() -> None:
    experiment = examples.experiment(space=TWO, scheduler={"name": "none", "max_epochs": 1})
    rows: list[Params] = [
        {"activation": "tanh", "init": "xavier"},
        {"activation": "tanh", "init": "xavier"},
        {"activation": "tanh", "init": "he"},
        {"activation": "relu", "init": "he"},
    ]
    queue = iter([0.2, 0.4, math.nan, 0.8])
    [pair] = marginal_effects(experiment, run(experiment, rows, lambda *_: next(queue))).pairs
    assert (pair.row, pair.column) == ("activation", "init")
    assert (pair.row_labels, pair.column_labels) == (("tanh", "relu"), ("xavier", "he"))
    assert pair.means == [[pytest.approx(0.3), None], [None, pytest.approx(0.8)]]
    assert pair.counts == [[2, 0], [0, 1]]
    assert pair.diverged == [[0, 1], [0, 0]]


def test_diverged_trials_are_counted_at_their_level_and_in_no_mean() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return math.nan if p["activation"] == "relu" else 0.5

    effects = marginal_effects(*searched(40, curve, space=TWO))
    tanh, relu = effects.parameters[0].levels
    assert (tanh.diverged, tanh.mean) == (0, 0.5)
    assert (relu.n, relu.diverged, relu.mean) == (0, effects.diverged, None)
    assert effects.diverged > 0


def test_a_log_range_is_cut_into_decades() -> None:
    effects = marginal_effects(*searched(60, lambda p, *_: wave(p["lr"])))
    lr = effects.parameters[0]
    assert (lr.parameter, lr.is_log, lr.applies) == ("lr", True, 60)
    assert [level.bounds for level in lr.levels] == [
        pytest.approx(bounds) for bounds in [(1e-4, 1e-3), (1e-3, 1e-2), (1e-2, 1e-1), (1e-1, 1)]
    ]
    means = [level.mean for level in lr.levels]
    assert means[0] < means[1] > means[3]  # type: ignore[operator]


def test_a_conditional_parameter_has_levels_only_where_it_applies() -> None:
    space = {
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    }
    effects = marginal_effects(*searched(50, lambda *_: 0.5, space=space))
    optimizer, momentum = effects.parameters
    assert momentum.applies == optimizer.levels[0].n < 50
    assert sum(level.n for level in momentum.levels) == momentum.applies
    [pair] = effects.pairs
    assert sum(map(sum, pair.counts)) == momentum.applies


def test_the_known_pairs_come_first_and_then_those_that_matter() -> None:
    names = ["lr", "dropout", "activation", "init", "norm"]
    pairs = pairs_of(names, ["norm", "lr", "dropout"])
    assert pairs == [
        ("activation", "init"),
        ("norm", "lr"),
        ("norm", "dropout"),
        ("lr", "dropout"),
    ]
    assert len(pairs_of(names, names)) == 6
    assert pairs_of(["lr"], ["lr"]) == []


def test_the_importance_says_which_pairs_are_worth_a_look() -> None:
    experiment, trials = searched(80, lambda p, *_: wave(p["lr"]))
    entry = rung_importance(experiment, trials, resamples=2)[0]
    pairs = marginal_effects(experiment, trials, importance=entry).pairs
    assert sum("lr" in (pair.row, pair.column) for pair in pairs) >= 3


@pytest.mark.parametrize("count", [0, 1])
def test_with_no_trial_or_one_there_are_levels_without_intervals(count: int) -> None:
    effects = marginal_effects(*searched(count, lambda *_: 0.5))
    levels = [level for effect in effects.parameters for level in effect.levels]
    assert sum(level.n for level in levels) == count * len(effects.parameters)
    assert all(level.low is None for level in levels)


def test_parameters_with_one_value_have_no_effect() -> None:
    space = {"activation": ["relu"], "init": ["xavier", "he"]}
    effects = marginal_effects(*searched(10, lambda *_: 0.5, space=space))
    assert [effect.parameter for effect in effects.parameters] == ["init"]
    assert effects.pairs == []
