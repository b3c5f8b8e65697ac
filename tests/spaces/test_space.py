"""Drawing configurations: conditions, the order of drawing, define-by-run functions, baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from spaces import SearchSpace
from spaces.checks import parse_experiment

OWN_CODE = f"{Path(__file__).with_name('own_code.py')}:train"
CONDITIONAL = {
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    "nesterov": {"choices": [True, False], "when": {"momentum_on": True, "optimizer": ["sgd"]}},
    "momentum_on": {"choices": [True, False], "when": {"optimizer": ["sgd", "rmsprop"]}},
    "optimizer": ["sgd", "rmsprop", "adam"],
}


def space_of(parameters: dict[str, Any]) -> SearchSpace:
    """A space whose names are free: that of somebody's own code."""
    code = {"trainable": OWN_CODE, "budget": {"trials": 1}}
    return parse_experiment({"name": "own", "space": parameters, **code}).search_space


def define(trial: optuna.Trial) -> None:
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    if optimizer == "sgd":
        momentum = trial.suggest_float("momentum", 0.0, 0.9)
        _ = ["low"][int(momentum)]


def messages(space: SearchSpace, params: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in space.problems_with(params)]


def test_a_parameter_is_drawn_exactly_when_its_conditions_hold() -> None:
    for params in space_of(CONDITIONAL).samples(100, seed=0):
        optimizer = params["optimizer"]
        assert ("momentum" in params) == (optimizer == "sgd")
        assert ("momentum_on" in params) == (optimizer != "adam")
        assert ("nesterov" in params) == (optimizer == "sgd" and params["momentum_on"] is True)


def test_what_a_configuration_is_drawn_from_is_what_optuna_was_asked_for() -> None:
    ranges = {
        "rate": {"low": 0.1, "high": 1, "log": True},
        "width": {"low": 0.0, "high": 1.0, "step": 0.3},
        "layers": {"low": 1, "high": 10, "step": 2},
    }
    space = space_of({**CONDITIONAL, **ranges})
    for params in space.samples(50, seed=0):
        fixed = optuna.trial.FixedTrial(params)
        space.draw(fixed)
        assert list(space.distributions_of(params).items()) == list(fixed.distributions.items())


def test_samples_are_a_function_of_the_seed() -> None:
    space = space_of(CONDITIONAL)
    assert space.samples(20, seed=1) == space.samples(20, seed=1)
    assert space.samples(20, seed=1) != space.samples(20, seed=2)


def test_yaml_and_define_by_run_draw_the_same_configurations() -> None:
    written = space_of(
        {
            "optimizer": ["sgd", "adam"],
            "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        }
    )
    assert written.samples(50, seed=3) == SearchSpace(define).samples(50, seed=3)


def test_the_distributions_of_a_function_are_found_by_drawing() -> None:
    assert SearchSpace(define).distributions == {
        "optimizer": CategoricalDistribution(["sgd", "adam"]),
        "momentum": FloatDistribution(0.0, 0.9),
    }


@pytest.mark.parametrize("params", [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.5}])
def test_a_point_of_a_function_space_has_no_problem(params: dict[str, Any]) -> None:
    assert messages(SearchSpace(define), params) == []


@pytest.mark.parametrize(
    ("params", "fragment"),
    [
        ({"optimizer": "sgd"}, "'momentum' is not found"),
        ({"optimizer": "sgd", "momentum": -0.5}, "-0.5"),
        ({"optimizer": "sgd", "momentum": 1.5}, "the function failed: IndexError"),
        ({"optimizer": "adam", "momentum": 0.5}, "unknown parameter 'momentum'"),
        ({"optimizer": "lion"}, "'lion' not in ('sgd', 'adam')"),
    ],
)
def test_a_point_outside_a_function_space_is_told(params: dict[str, Any], fragment: str) -> None:
    (message,) = messages(SearchSpace(define), params)
    assert fragment in message


def test_every_problem_of_a_point_is_told_by_name() -> None:
    params = {"optimizer": "sgd", "momentum": 2.0, "lr": 0.1, "nesterov": True}
    assert messages(space_of(CONDITIONAL), params) == [
        "lr: unknown parameter 'lr'; valid: momentum, momentum_on, nesterov, optimizer",
        "momentum: must be in [0.0, 0.9], got 2.0",
        "nesterov: does not apply here: it needs {'momentum_on': [True], 'optimizer': ['sgd']}",
        "momentum_on: is missing",
    ]


def test_a_named_choice_stands_for_its_settings() -> None:
    space = space_of({"size": {"small": {"width": 8, "depth": 1}}, "lr": [0.1]})
    assert space.settings_of("size", "small") == {"width": 8, "depth": 1}
    assert space.settings_of("lr", 0.1) == {"lr": 0.1}
