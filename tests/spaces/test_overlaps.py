"""Two parameters that set one field in the same configuration are refused, with both places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spaces import InputError
from spaces.checks import parse_experiment

OWN_CODE = Path(__file__).with_name("own_code.py")
LR = {"low": 0.1, "high": 1.0}
CONVNET = {"family": "convnet", "blocks": [{"channels": 8}, {"channels": 8}]}


def mistakes(space: Any, **sections: Any) -> list[str]:
    try:
        parse_experiment({"name": "x", "budget": {"trials": 1}, "space": space, **sections})
    except InputError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("space", "place", "field", "other"),
    [
        (
            {"lr": LR, "recipe": {"calm": {"lr": 1e-3}, "wild": {"momentum": 0.5}}},
            "space.recipe.calm.lr",
            "train.lr",
            "space.lr",
        ),
        ({"lr": LR, "train.lr": LR}, "space.train.lr", "train.lr", "space.lr"),
        (
            {"a": {"x": {"lr": 0.1}, "y": {"lr": 0.2}}, "b": {"x": {"lr": 0.3}}},
            "space.b.x.lr",
            "train.lr",
            "space.a.x.lr",
        ),
        (
            {"schedule.gamma": LR, "a": {"x": {"schedule": {"name": "cosine", "gamma": 0.5}}}},
            "space.a.x.schedule",
            "train.schedule.gamma",
            "space.schedule.gamma",
        ),
        (
            {"schedule": ["constant", "cosine"], "schedule.name": ["cosine"]},
            "space.schedule.name",
            "train.schedule.name",
            "space.schedule",
        ),
        (
            {"a": {"x": {"lr": 0.1, "train.lr": 0.2}}},
            "space.a.x.train.lr",
            "train.lr",
            "space.a.x.lr",
        ),
        (  # a condition that both of them meet
            {
                "optimizer": ["sgd", "adam", "adamw"],
                "lr": {**LR, "when": {"optimizer": ["sgd", "adam"]}},
                "a": {"x": {"lr": 0.1}, "when": {"optimizer": ["adam", "adamw"]}},
            },
            "space.a.x.lr",
            "train.lr",
            "space.lr",
        ),
    ],
)
def test_two_that_set_one_field_are_told_with_both_places(
    space: Any, place: str, field: str, other: str
) -> None:
    assert mistakes(space) == [
        f"{place}: sets {field}, which {other} sets, too; drop one of them, "
        "or give it a when that excludes the other"
    ]


def test_own_code_is_given_each_name_once() -> None:
    own = {"trainable": f"{OWN_CODE}:train", "metric": {"name": "loss"}}
    space = {"lr": LR, "recipe": {"calm": {"lr": 1e-3}}}
    [told] = mistakes(space, **own)
    assert told.startswith("space.recipe.calm.lr: sets lr, which space.lr sets, too")
    assert mistakes({"a.b": LR, "recipe": {"calm": {"a": {"b": 1}}}}, **own) == []


def test_a_function_that_draws_one_field_twice_is_told(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "def space(trial):\n"
        "    trial.suggest_float('lr', 0.1, 1)\n"
        "    trial.suggest_float('train.lr', 0.1, 1)\n"
    )
    [told] = mistakes(f"{code}:space")
    assert told.startswith("space.train.lr: sets train.lr, which space.lr sets, too")


@pytest.mark.parametrize(
    ("space", "sections"),
    [
        ({"lr": {**LR, "when": {"a": "wild"}}, "a": {"calm": {"lr": 0.1}, "wild": {}}}, {}),
        (
            {
                "optimizer": ["sgd", "adam"],
                "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
                "lr": {**LR, "when": {"momentum": [0.0, 0.5]}},
                "a": {"x": {"lr": 0.1}, "when": {"optimizer": "adam"}},
            },
            {},
        ),
        ({"init": ["normal", "xavier"], "init.std": LR}, {}),
        ({"network": {"one": {"hidden": [8]}, "two": {"hidden": [8, 8]}}, "hidden.0": [4, 8]}, {}),
        ({"blocks.0.kernel": [1, 3], "blocks.1.kernel": [1, 3]}, {"model": CONVNET}),
        ({"blocks.kernel": [3, 5], "blocks.1.kernel": [1, 3]}, {"model": CONVNET}),
        ({"lr": LR}, {"train": {"lr": 0.5}}),  # fixed values are what parameters vary from
    ],
)
def test_two_that_cannot_hold_together_or_refine_each_other_are_fine(
    space: Any, sections: dict[str, Any]
) -> None:
    assert mistakes(space, **sections) == []
