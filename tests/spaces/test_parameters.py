"""What one parameter may be: read from plain data, drawn, checked, written back."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from pydantic import TypeAdapter

from spaces.parameters import Choice, Float, Int, Parameter, as_float, describe, dump

ADAPTER: TypeAdapter[Any] = TypeAdapter(Parameter)

KINDS = {
    "float": {"low": 0.5, "high": 2.5},
    "log float": {"low": 1e-4, "high": 1.0, "log": True},
    "stepped float": {"low": 0.1, "high": 0.9, "step": 0.2},
    "int": {"low": 1, "high": 9},
    "log int": {"low": 1, "high": 512, "log": True},
    "stepped int": {"low": 2, "high": 10, "step": 4},
    "list": [1, "a", None, 2.5],
    "mapping of choices": {"choices": [True, False], "when": {"x": [1]}},
    "names": {"small": {"hidden": [8]}, "big": {"hidden": [64], "clip_norm": None}},
}


def read(value: object) -> Any:
    return ADAPTER.validate_python(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"low": 1, "high": 9}, Int),
        ({"low": 1, "high": 9.0}, Float),
        ({"low": 1, "high": 9, "step": 0.5}, Float),
        ({"low": 1, "high": 9, "type": "float"}, Float),
        (["a", "b"], Choice),
        ({"a": {}, "b": {}}, Choice),
    ],
)
def test_a_parameters_kind_follows_from_its_values(value: object, kind: type) -> None:
    assert type(read(value)) is kind


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_a_parameter_that_is_written_reads_back_equal(value: object) -> None:
    assert read(dump(read(value))) == read(value)


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_what_is_drawn_has_no_problem_and_follows_the_distribution(value: object) -> None:
    parameter = read(value)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for trial in (study.ask() for _ in range(30)):
        drawn = parameter.suggest("p", trial)
        assert parameter.problem_with(drawn) is None
        assert trial.distributions["p"] == parameter.distribution()


def test_a_log_range_draws_as_much_below_its_geometric_mean_as_above() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [read(KINDS["log float"]).suggest("p", study.ask()) for _ in range(400)]
    assert 160 < sum(value < 1e-2 for value in drawn) < 240


@pytest.mark.parametrize(
    ("value", "drawable"),
    [
        ({"low": 0.1, "high": 1.0, "step": 0.4}, {0.1, 0.5, 0.9}),
        ({"low": 1, "high": 9, "step": 3}, {1, 4, 7}),
    ],
)
def test_a_step_that_does_not_reach_high_stops_below_it(
    value: object, drawable: set[float]
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {read(value).suggest("p", study.ask()) for _ in range(50)} == drawable


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("float", 3.0, "must be in [0.5, 2.5], got 3.0"),
        ("float", float("nan"), "must be in [0.5, 2.5], got nan"),
        ("float", True, "must be a number in [0.5, 2.5], got True"),
        ("float", "1", "must be a number in [0.5, 2.5], got '1'"),
        ("int", 2.0, "must be a whole number in [1, 9], got 2.0"),
        ("stepped int", 4, "must be 2 plus a multiple of 4, got 4"),
        ("stepped float", 0.4, "must be 0.1 plus a multiple of 0.2, got 0.4"),
        ("list", "b", "must be one of 1, 'a', None, 2.5, got 'b'"),
        ("list", True, "must be one of 1, 'a', None, 2.5, got True"),
        ("names", "huge", "must be one of 'small', 'big', got 'huge'"),
    ],
)
def test_a_value_outside_is_told_with_the_rule(kind: str, value: object, message: str) -> None:
    assert read(KINDS[kind]).problem_with(value) == message


def test_a_when_beside_names_is_a_condition_and_no_name() -> None:
    parameter = read({"a": {"hidden": [8]}, "when": {"optimizer": "sgd"}})
    assert parameter.choices == ["a"]
    assert parameter.when == {"optimizer": ["sgd"]}


def test_names_that_yaml_reads_as_numbers_are_names_all_the_same() -> None:
    assert read({1: {"hidden": [8]}, 2: {"hidden": [9]}}).choices == ["1", "2"]


def test_an_integer_range_can_be_read_as_a_float_range() -> None:
    assert as_float(read({"low": 0, "high": 1})) == read({"low": 0.0, "high": 1.0})


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("float", "0.5 … 2.5"),
        ("log float", "0.0001 … 1 (log)"),
        ("int", "1 … 9"),
        ("stepped int", "2 … 10 (step 4)"),
        ("names", "small | big"),
    ],
)
def test_a_distribution_is_described_in_one_line(kind: str, line: str) -> None:
    assert describe(read(KINDS[kind]).distribution()) == line
