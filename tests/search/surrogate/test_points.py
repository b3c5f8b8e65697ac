from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from search.surrogate.points import DrawnPoints, Points, points_of, unlike
from spaces.space import SearchSpace
from tests.support.spaces import space_of

SPACE: dict[str, Any] = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "width": {"low": 8, "high": 64, "step": 8},
    "depth": {"low": 1, "high": 5, "log": True},
    "kind": ["sgd", "adam", "none"],
    "momentum": {"low": 0.0, "high": 0.9, "when": {"kind": ["sgd", "none"]}},
    "nesterov": [True, False],
    "damping": {"low": 0.0, "high": 1.0, "when": {"nesterov": True, "kind": "sgd"}},
    "fixed": {"low": 2.0, "high": 2.0},
}


@pytest.fixture
def space() -> SearchSpace:
    return space_of(SPACE)


def test_new_points_are_configurations_of_the_space(space: SearchSpace) -> None:
    points, random = points_of(space), np.random.default_rng(0)
    rows = points.random(200, random)
    near = points.near(rows, random)
    for row in np.vstack([rows, near]):
        params = points.params(row)
        assert space.problems_with(params) == []
        assert np.allclose(points.row(params), row)
    assert {points.params(row)["kind"] for row in rows} == {"sgd", "adam", "none"}
    assert {points.params(row)["depth"] for row in rows} == {1, 2, 3, 4, 5}


def test_what_optuna_draws_comes_back_as_it_was(space: SearchSpace) -> None:
    points = points_of(space)
    for params in space.samples(50, seed=1):
        again = points.params(points.row(params))
        assert again.keys() == params.keys()
        for name, value in params.items():
            assert type(again[name]) is type(value)
            assert again[name] == pytest.approx(value) if name != "kind" else again[name] == value


def test_near_points_share_most_and_differ_in_something(space: SearchSpace) -> None:
    points, random = points_of(space), np.random.default_rng(0)
    parents = points.random(300, random)
    near = points.near(parents, random)
    same = np.isclose(parents, near)
    assert not same.all(axis=1).mean() > 0.2  # of a parameter with one value, or on one step
    assert 0.5 < same.mean() < 0.9


def test_the_distance_of_choices_is_one_and_of_ranges_as_far_as_they_are() -> None:
    points = points_of(space_of({"lr": SPACE["lr"], "kind": SPACE["kind"]}))
    rows = np.array(
        [
            points.row({"lr": lr, "kind": kind})
            for lr, kind in ((1e-4, "sgd"), (1e-2, "sgd"), (1e-2, "adam"), (1e-2, "none"))
        ]
    )
    lr, kind = points.distances(rows, rows)
    assert np.allclose(lr[0], [0.0, 0.25, 0.25, 0.25])
    assert np.array_equal(kind, [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]])


def test_weighted_distances_are_the_distances_times_their_weights(space: SearchSpace) -> None:
    points, random = points_of(space), np.random.default_rng(0)
    rows, others = points.random(50, random), points.random(40, random)
    weights = random.exponential(5.0, len(points.names))
    expected = np.tensordot(weights, points.distances(rows, others), 1)
    assert np.allclose(points.weighted_distances(rows, others, weights), expected, atol=1e-12)
    assert np.diag(points.weighted_distances(rows, rows, weights)).max() < 1e-12


def define(trial: optuna.Trial) -> None:
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    if trial.suggest_categorical("kind", ["sgd", "adam"]) == "sgd" and lr > 1e-3:
        trial.suggest_float("momentum", 0.0, 0.9)


def test_points_of_a_function_are_what_the_function_draws() -> None:
    space = SearchSpace(define)
    points, random = points_of(space), np.random.default_rng(0)
    assert isinstance(points, DrawnPoints)
    rows = points.random(100, random)
    near = points.near(rows, random)
    assert 0 < len(near) <= len(rows) <= 100
    for row in np.vstack([rows, near]):
        assert space.problems_with(points.params(row)) == []


def test_those_that_were_tried_are_left_out_unless_all_were() -> None:
    points = Points(space_of({"kind": ["a", "b"]}))
    a, b = (points.row({"kind": kind}) for kind in "ab")
    both = np.array([a, b])
    assert np.array_equal(unlike(both, {a.tobytes()}), [b])
    assert np.array_equal(unlike(both, {a.tobytes(), b.tobytes()}), both)
