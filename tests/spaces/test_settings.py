"""How drawn values become settings: names, paths into lists, families, and their order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from spaces import Experiment
from spaces.checks import parse_experiment
from spaces.settings.dataset import Dataset
from spaces.settings.fields import field_path, is_float_field
from spaces.settings.model import Convnet, Mlp
from spaces.settings.train import Train

CONVNET = {
    "family": "convnet",
    "blocks": [{"channels": 8, "pool": 2}, {"channels": 16, "norm": "batch"}],
    "hidden": [32, 16],
}


def experiment(**sections: Any) -> Experiment:
    return parse_experiment({"name": "x", "budget": {"trials": 1}, **sections})


def model_of(sections: dict[str, Any], params: dict[str, Any]) -> Any:
    return experiment(**sections).settings(params)[0]


def test_fixed_values_stand_where_nothing_is_searched() -> None:
    fixed = experiment(model={"hidden": [7], "init": "he"}, train={"lr": 0.5, "optimizer": "sgd"})
    model, train = fixed.settings({})
    assert model == Mlp(hidden=[7], init={"name": "he"})  # type: ignore[arg-type]
    assert train == Train(lr=0.5, optimizer="sgd")


def test_a_searched_value_replaces_the_fixed_one() -> None:
    searched = experiment(train={"lr": 0.5}, space={"lr": {"low": 0.1, "high": 1.0}})
    assert searched.settings({"lr": 0.25})[1].lr == 0.25


@pytest.mark.parametrize(
    ("name", "value", "kernels"), [("blocks.0.kernel", 5, [5, 3]), ("blocks.kernel", 1, [1, 1])]
)
def test_a_path_sets_one_entry_of_a_list_or_all(name: str, value: int, kernels: list[int]) -> None:
    model = model_of({"model": CONVNET, "space": {name: [value]}}, {name: value})
    assert [block.kernel for block in model.blocks] == kernels


def test_a_path_sets_one_hidden_size() -> None:
    model = model_of({"model": CONVNET, "space": {"hidden.1": [64]}}, {"hidden.1": 64})
    assert model.hidden == [32, 64]


def test_a_named_choice_sets_several_fields_and_leaves_the_others() -> None:
    space = {"network": {"wide": {"hidden": [99], "norm": "batch"}, "plain": {}}}
    sections = {"model": {"activation": "tanh"}, "space": space}
    wide = Mlp(hidden=[99], norm="batch", activation="tanh")
    assert model_of(sections, {"network": "wide"}) == wide
    assert model_of(sections, {"network": "plain"}) == Mlp(activation="tanh")


def test_a_choice_that_changes_the_family_keeps_what_both_families_have() -> None:
    space = {"network": {"dense": {"family": "mlp", "hidden": [9]}, "conv": {}}}
    sections = {"model": {**CONVNET, "activation": "elu"}, "space": space}
    assert model_of(sections, {"network": "dense"}) == Mlp(hidden=[9], activation="elu")
    assert isinstance(model_of(sections, {"network": "conv"}), Convnet)


def test_the_order_of_the_parameters_does_not_matter() -> None:
    space = {
        "dropout": [0.5],
        "init.mode": ["fan_out"],
        "init": ["he"],
        "blocks.0.kernel": {"choices": [5], "when": {"network": "conv"}},
        "blocks.kernel": {"choices": [1], "when": {"network": "conv"}},
        "network": {"conv": {"family": "convnet", "blocks": CONVNET["blocks"]}, "dense": {}},
    }
    searched = experiment(space=space)
    params = {
        name: held["choices"][0]
        for name, held in searched.plain()["space"].items()
        if name != "network"
    } | {"network": "conv"}
    models = [searched.settings(dict(order))[0] for order in permutations(params.items())]
    assert all(model == models[0] for model in models)
    assert isinstance(models[0], Convnet)
    assert (models[0].dropout, models[0].init.mode) == (0.5, "fan_out")
    assert [block.kernel for block in models[0].blocks] == [5, 1]


def test_making_settings_leaves_the_experiment_as_it_was() -> None:
    space = {"network": {"a": {"blocks": [{"channels": 4}]}}, "blocks.kernel": [5]}
    searched = experiment(model=CONVNET, space=space)
    before = searched.plain()
    searched.settings({"network": "a", "blocks.kernel": 5})
    assert searched.plain() == before


def test_a_blocks_own_settings_may_be_searched_with_those_of_the_head() -> None:
    space = {"norm": ["layer"], "block_norm": ["group"], "dropout": [0.3], "block_dropout": [0.1]}
    model = model_of(
        {"model": CONVNET, "space": space},
        {"norm": "layer", "block_norm": "group", "dropout": 0.3, "block_dropout": 0.1},
    )
    assert (model.norm, model.block_norm) == ("layer", "group")
    assert (model.dropout, model.block_dropout) == (0.3, 0.1)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lr", ("train", "lr")),
        ("train.lr", ("train", "lr")),
        ("schedule.gamma", ("train", "schedule", "gamma")),
        ("blocks.0.kernel", ("model", "blocks", "0", "kernel")),
        ("model.hidden.0", ("model", "hidden", "0")),
    ],
)
def test_a_name_finds_its_field(name: str, path: tuple[str, ...]) -> None:
    assert field_path(name) == path


@pytest.mark.parametrize(
    ("name", "is_float"),
    [
        ("lr", True),
        ("clip_norm", True),
        ("init.std", True),
        ("blocks.0.dropout", True),
        ("batch_size", False),
        ("hidden.0", False),
        ("nonsense", False),
    ],
)
def test_whole_bounds_of_a_real_field_are_real(name: str, is_float: bool) -> None:
    assert is_float_field(name) is is_float


def test_whole_bounds_for_dropout_draw_real_rates() -> None:
    searched = experiment(space={"weight_decay": {"low": 0, "high": 1}})
    assert any(0 < params["weight_decay"] < 1 for params in searched.search_space.samples(5, 0))


def test_classes_that_stand_twice_are_refused() -> None:
    with pytest.raises(ValidationError, match="classes must differ from each other"):
        Dataset(name="mnist", classes=["3", "5", "3"])
