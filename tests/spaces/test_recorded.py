"""What a journal says of a space that is a function."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from analysis.record.events import EVENT, Created
from spaces.problems import InputError
from spaces.recorded import RecordedSpace, check_drawn, distribution_of_values

PARAMS: dict[str, Any] = {"lr": 0.01, "layers": 3, "kind": None}
DRAWN_FROM: dict[str, Any] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "layers": IntDistribution(1, 9, step=2),
    "kind": CategoricalDistribution([None, "a", 1, 0.5, True]),
}


def created(**changes: Any) -> Created:
    held = {"trial": 0, "params": PARAMS, "seed": 1, "distributions": DRAWN_FROM}
    return Created(**{**held, **changes})


def test_distributions_come_back_from_a_journal_as_they_were() -> None:
    again = EVENT.validate_json(created().model_dump_json())
    assert isinstance(again, Created)
    assert again.distributions == DRAWN_FROM


@pytest.mark.parametrize(
    "held",
    [
        {"name": "FloatDistribution", "attributes": {"low": 1.0, "high": 0.0}},
        {"name": "FloatDistribution", "attributes": {"low": 0.5, "high": 0.6}},
        {"name": "FloatDistribution", "attributes": {"low": "0", "high": 1}},
        {"name": "FloatDistribution", "attributes": {"low": -1e308, "high": 1e308}},
        {"name": "IntDistribution", "attributes": {"low": 0, "high": 10**400}},
        {"name": "CategoricalDistribution", "attributes": {"choices": [[1], 0.01]}},
        {"name": "CategoricalDistribution", "attributes": {"choices": [10**400, 0.01]}},
        {"name": "CategoricalDistribution", "attributes": {"choices": "0.01"}},
        {"name": "CategoricalDistribution", "attributes": {"choices": []}},
        {"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}},
        {"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "more": 2}},
        {"name": "FloatDistribution"},
        {"type": "float", "low": 0, "high": 1},
        "FloatDistribution",
        None,
    ],
)
def test_what_no_value_was_drawn_from_is_no_event(held: Any) -> None:
    with pytest.raises(ValueError, match="1 validation error"):
        created(params={"lr": 0.01}, distributions={"lr": held})


def test_a_configuration_has_a_distribution_for_each_of_its_parameters() -> None:
    with pytest.raises(ValueError, match="Inconsistent parameters"):
        created(params={"lr": 0.01})


def test_a_recorded_space_is_as_wide_as_all_that_was_drawn() -> None:
    space = RecordedSpace()
    space.note({"x": 0.5, "k": "a"}, {"x": FloatDistribution(0, 1), "k": choices("a", "b")})
    space.note({"x": 3.0, "n": 5}, {"x": FloatDistribution(2, 4), "n": IntDistribution(5, 6)})
    space.note({"k": "c", "n": 9}, {"k": choices("c"), "n": IntDistribution(7, 9, step=2)})
    assert space.distributions == {
        "x": FloatDistribution(0, 4),
        "k": choices("a", "b", "c"),
        "n": IntDistribution(5, 9),
    }
    with pytest.raises(InputError, match=r"x is drawn from IntDistribution.*, before it was Float"):
        space.note({"x": 1}, {"x": IntDistribution(0, 1)})


def test_without_distributions_a_space_is_as_wide_as_its_values() -> None:
    space = RecordedSpace()
    for number in range(3):
        space.note({"x": number / 2, "n": number, "k": [True, "a", None][number]}, None)
    expected = {
        "x": FloatDistribution(0.0, 1.0),
        "n": IntDistribution(0, 2),
        "k": choices(True, "a", None),
    }
    assert space.distributions == expected
    assert space.distributions_of({"x": 1.0}) == {"x": expected["x"]}
    huge = distribution_of_values([1, 10**400])
    assert isinstance(huge, CategoricalDistribution)
    assert huge.choices == (1, 10**400)
    with pytest.raises(InputError, match="n is too large a number"):
        space.note({"n": 10**400}, None)


@pytest.mark.parametrize("is_old_first", [True, False])
@pytest.mark.parametrize("old", [5.0, -1, "none"])
def test_a_space_holds_what_an_earlier_version_drew_and_what_is_recorded(
    old: Any, is_old_first: bool
) -> None:
    space = RecordedSpace()
    noted = [({"x": old}, None), ({"x": 0.5}, {"x": FloatDistribution(0, 1)})]
    for params, distributions in noted if is_old_first else reversed(noted):
        space.note(params, distributions)
        assert space.distributions_of(params)  # an answer is not kept beyond the next one
    for params, _ in noted:
        check_drawn(params, space.distributions_of(params))


def test_the_distributions_of_a_space_are_made_once_for_all_its_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = RecordedSpace()
    space.note({"x": 0.5}, None)
    held = space.distributions
    monkeypatch.setattr("spaces.recorded.holding", None)
    assert space.distributions is held


def test_a_recorded_space_draws_nothing() -> None:
    with pytest.raises(InputError, match="a run is read without running it"):
        RecordedSpace().suggest(optuna.create_study().ask())
    assert RecordedSpace().settings_of("x", 1) == {"x": 1}


def choices(*held: Any) -> CategoricalDistribution:
    return CategoricalDistribution(held)
