"""Depth and width searched together: a parameter for each layer or block that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import Experiment, InputError, load_experiment, save_experiment
from spaces.checks import parse_experiment
from spaces.parameters import MOST_PARAMETERS, dump
from spaces.settings.model import Convnet

OWN_CODE = Path(__file__).with_name("own_code.py")
LAYERS = {"low": 1, "high": 6}
WIDTHS = {"low": 32, "high": 512, "log": True}
CONVNET = {"family": "convnet", "blocks": [{"channels": 8, "padding": "same"}]}


def experiment(space: dict[str, Any], **sections: Any) -> Experiment:
    return parse_experiment({"name": "x", "budget": {"trials": 1}, "space": space, **sections})


def mistakes(space: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        experiment(space, **sections)
    return [str(problem) for problem in caught.value.problems]


def hidden(searched: Experiment, params: dict[str, Any]) -> list[int]:
    return searched.settings(params)[0].hidden


def conditions(searched: Experiment) -> dict[str, Any]:
    return {name: held.when for name, held in searched.search_space.parameters.items()}


DEPTHS = st.one_of(
    st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3)).map(
        lambda held: {"low": held[0], "high": held[0] + held[1] * held[2], "step": held[2]}
    ),
    st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True),
)


@settings(deadline=None, max_examples=40)
@given(depths=DEPTHS, fixed=st.lists(st.integers(1, 9), max_size=3), seed=st.integers(0, 999))
def test_whatever_is_drawn_has_exactly_the_widths_of_the_layers_that_are_there(
    depths: Any, fixed: list[int], seed: int
) -> None:
    space = {"hidden.*": [16, 32], "layers": depths, "lr": {"low": 0.1, "high": 1.0}}
    searched = experiment(space, model={"hidden": fixed})
    for params in searched.search_space.samples(5, seed):
        widths = [params[f"hidden.{index}"] for index in range(int(params["layers"] or 0))]
        assert params.keys() == {"lr", "layers", *(f"hidden.{n}" for n in range(len(widths)))}
        assert hidden(searched, params) == widths


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_whatever_is_drawn_has_exactly_the_blocks_that_are_there(seed: int) -> None:
    each = {"blocks.*.channels": [4, 8], "blocks.*.kernel": [1, 5], "blocks.*.dropout": [0.1, 0.2]}
    searched = experiment({"blocks": {"low": 1, "high": 4}, **each}, model=CONVNET)
    for params in searched.search_space.samples(5, seed):
        model = searched.settings(params)[0]
        assert isinstance(model, Convnet)
        assert len(model.blocks) == params["blocks"] == (len(params) - 1) / 3
        for index, block in enumerate(model.blocks):
            drawn = [params[f"blocks.{index}.{part}"] for part in ("channels", "kernel", "dropout")]
            assert [block.channels, block.kernel, block.dropout] == drawn
            assert block.padding == "same"


def test_each_layers_parameter_applies_where_its_layer_is_there() -> None:
    searched = experiment({"layers": {"low": 1, "high": 7, "step": 2}, "hidden.*": WIDTHS})
    deep = {"layers": [3, 5, 7]}
    deeper = {"layers": [5, 7]}
    expected = [None, None, deep, deep, deeper, deeper, {"layers": [7]}, {"layers": [7]}]
    assert list(conditions(searched).values()) == expected


def test_a_file_keeps_what_it_said_and_reads_back_to_the_same_space(tmp_path: Path) -> None:
    space = {"layers": LAYERS, "hidden.*": {**WIDTHS, "when": {"optimizer": "sgd"}}}
    searched = experiment({**space, "optimizer": ["sgd", "adam"]})
    assert list(searched.plain()["space"]) == ["layers", "hidden.*", "optimizer"]
    save_experiment(searched, tmp_path / "experiment.yaml")
    again = load_experiment(tmp_path / "experiment.yaml")
    assert again == searched
    assert again.search_space.parameters == searched.search_space.parameters


@pytest.mark.parametrize(
    ("fixed", "params", "expected"),
    [
        ({"hidden": [64, 16]}, {"layers": 4}, [64, 16, 16, 16]),
        ({"hidden": [64, 16]}, {"layers": 1}, [64]),
        ({"hidden": [64, 16]}, {"layers": 0}, []),
        ({"hidden": []}, {"layers": 2}, [512, 512]),
        ({"family": "convnet", "hidden": []}, {"layers": 2}, [128, 128]),
        ({"hidden": [64, 16]}, {"width": 5}, [5, 5]),
        ({"hidden": [64, 16]}, {"width": 5, "layers": 3}, [5, 5, 5]),
        ({"hidden": [64, 16]}, {"width": 5, "layers": 3, "hidden.0": 9}, [9, 5, 5]),
        ({"hidden": [64, 16]}, {"model.layers": 3, "model.width": 5}, [5, 5, 5]),
    ],
)
def test_layers_without_widths_of_their_own_repeat_the_last_or_have_one_width(
    fixed: dict[str, Any], params: dict[str, Any], expected: list[int]
) -> None:
    searched = experiment({name: [value] for name, value in params.items()}, model=fixed)
    assert hidden(searched, params) == expected
    assert hidden(searched, dict(reversed(params.items()))) == expected


def test_without_layers_a_star_stands_for_each_of_the_fixed_ones() -> None:
    searched = experiment({"hidden.*": WIDTHS}, model={"hidden": [9, 9, 9]})
    assert conditions(searched) == dict.fromkeys(["hidden.0", "hidden.1", "hidden.2"])
    blocks = [{"channels": 4}, {"channels": 4}]
    searched = experiment({"blocks.*.pool": [1, 2]}, model={**CONVNET, "blocks": blocks})
    assert list(conditions(searched)) == ["blocks.0.pool", "blocks.1.pool"]


def test_a_layer_that_a_file_names_itself_keeps_its_own_range() -> None:
    searched = experiment({"hidden.2": [7], "layers": [1, 2, 3], "hidden.*": [4]})
    assert hidden(searched, {"layers": 3, "hidden.0": 4, "hidden.1": 4, "hidden.2": 7}) == [4, 4, 7]
    assert conditions(searched)["hidden.2"] == {"layers": [3]}


def test_conditions_of_a_file_and_of_the_layers_hold_together() -> None:
    space = {
        "optimizer": ["sgd", "adam"],
        "layers": [1, 2, 3],
        "hidden.*": {"choices": [4, 8], "when": {"optimizer": "sgd", "layers": [1, 2]}},
    }
    searched = experiment(space, model={"hidden": [9]})
    found = conditions(searched)
    assert found["hidden.0"] == {"optimizer": ["sgd"], "layers": [1, 2]}
    assert found["hidden.1"] == {"optimizer": ["sgd"], "layers": [2]}
    assert "hidden.2" not in found
    assert hidden(searched, {"optimizer": "sgd", "layers": 3}) == [9, 9, 9]


def test_depth_may_vary_for_one_family_only() -> None:
    space = {
        "family": ["mlp", "convnet"],
        "blocks": {"low": 1, "high": 3, "when": {"family": "convnet"}},
        "blocks.*.channels": [4, 8],
        "layers": LAYERS,
        "hidden.*": WIDTHS,
    }
    searched = experiment(space)
    drawn = [(p, searched.settings(p)[0]) for p in searched.search_space.samples(30, seed=0)]
    assert {model.family for _, model in drawn} == {"mlp", "convnet"}
    for params, model in drawn:
        blocks = len(model.blocks) if isinstance(model, Convnet) else None
        assert params.get("blocks") == blocks
        assert len(model.hidden) == params["layers"]


def test_own_code_has_these_names_for_itself() -> None:
    own = {"trainable": f"{OWN_CODE}:train", "metric": {"name": "loss"}}
    searched = experiment({"layers": LAYERS, "hidden.*": WIDTHS, "width": [0]}, **own)
    assert list(searched.search_space.parameters) == ["layers", "hidden.*", "width"]
    params = {"layers": 2, "hidden.*": 40, "width": 0}
    assert searched.free_settings(params) == params


def test_names_for_settings_may_stand_under_the_name_of_a_depth() -> None:
    named = {"layers": {"few": {"layers": 1, "width": 8}, "many": {"layers": 3, "width": 4}}}
    searched = experiment(named)
    assert hidden(searched, {"layers": "many"}) == [4, 4, 4]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (
            {"layers": {"low": -1, "high": 3}, "hidden.*": WIDTHS},
            ["space.layers: must be a whole number from 0 to 100, got -1"],
        ),
        (
            {"layers": {"low": 1, "high": 10**12}},
            ["space.layers: must be a whole number from 0 to 100, got 1000000000000"],
        ),
        (
            {"layers": [1, 2.5], "hidden.*": WIDTHS},
            ["space.layers: must be a whole number from 0 to 100, got 2.5"],
        ),
        (
            {"layers": {"low": 1.0, "high": 3.0}, "hidden.*": WIDTHS},
            ["space.layers: must be a whole number from 0 to 100, got 1.0"],
        ),
        (
            {"layers": [0], "hidden.*": WIDTHS},
            ["space.hidden.*: stands for no parameter: layers is 0"],
        ),
        (
            {"layers": LAYERS, "hidden.*": {"low": 0, "high": 9}},
            ["space.hidden.*.low: must be at least 1, got 0"],
        ),
        (
            {"layers": LAYERS, "hidden.9": [8]},
            ["space.hidden.9: there is no entry 9 in a list of 1"],
        ),
        (
            {"layers": LAYERS, "hidden.*": {**WIDTHS, "when": {"layers": 9}}},
            ["space.hidden.*.when.layers: layers must be in [1, 6], got 9"],
        ),
        (
            {"hidden": {"low": 32, "high": 512}},
            [
                "space.hidden: must be a list; its length is layers, every entry width, each one "
                "hidden.*; got 32"
            ],
        ),
        (
            {"hidden.*": WIDTHS, "network": {"a": {"hidden": [8, 8]}, "b": {}}},
            [
                "space.hidden.*: how many hidden layers there are depends on network: name each "
                "(such as hidden.0), or search layers instead"
            ],
        ),
        (
            {"blocks": [1, 2]},
            ["space.blocks: only the family convnet has blocks, the family is mlp"],
        ),
        (
            {"layers": {"low": 3}, "hidden.*": WIDTHS},
            ["space.layers.high: is required"],
        ),
    ],
)
def test_a_mistake_is_told_once_with_its_place_in_the_file(
    space: dict[str, Any], expected: list[str]
) -> None:
    assert mistakes(space) == expected


def test_mistakes_about_blocks_are_told_once_for_all_of_them() -> None:
    space = {"blocks": {"low": 1, "high": 5}, "blocks.*.chanels": [8]}
    [message] = mistakes(space, model=CONVNET)
    assert message.startswith("space.blocks.*.chanels.0: unknown key 'chanels' (did you mean")
    [message] = mistakes({"blocks": [0, 1]}, model=CONVNET)
    assert message == "space.blocks: must be a whole number from 1 to 100, got 0"


@pytest.mark.parametrize(
    ("space", "place", "field", "other"),
    [
        (
            {"layers": LAYERS, "network": {"wide": {"hidden": [8]}, "usual": {}}},
            "network.wide.hidden",
            "model.hidden",
            "layers",
        ),
        ({"layers": LAYERS, "model.layers": LAYERS}, "model.layers", "model.hidden", "layers"),
        ({"width": [8], "hidden.*": WIDTHS}, "hidden.*", "model.hidden.*", "width"),
        (
            {"blocks": [1, 2], "blocks.*.kernel": [1, 3], "blocks.kernel": [3, 5]},
            "blocks.kernel",
            "model.blocks.*.kernel",
            "blocks.*.kernel",
        ),
    ],
)
def test_two_that_set_the_same_widths_are_refused(
    space: dict[str, Any], place: str, field: str, other: str
) -> None:
    expected = (
        f"space.{place}: sets {field}, which space.{other} sets, too; drop one of them, "
        "or give it a when that excludes the other"
    )
    model = CONVNET if "blocks" in space else {}
    assert mistakes(space, model=model) == [expected]


def test_a_baseline_names_the_layers_that_are_there() -> None:
    space = {"layers": [1, 3], "hidden.*": [16, 32]}
    assert mistakes(space, baseline={"layers": 3, "hidden.0": 16}) == [
        "baseline.hidden.1: is missing",
        "baseline.hidden.2: is missing",
    ]
    assert mistakes(space, baseline={"layers": 1, "hidden.0": 16, "hidden.1": 16}) == [
        "baseline.hidden.1: does not apply here: it needs {'layers': [3]}"
    ]
    full = {"layers": 3, "hidden.0": 16, "hidden.1": 16, "hidden.2": 32}
    assert hidden(experiment(space, baseline=full), full) == [16, 16, 32]


def test_what_faulty_widths_of_the_model_lead_to_is_not_told_beside_them() -> None:
    told = mistakes({"hidden.*": [8]}, model={"hidden": [0, 0]}, baseline={"hidden.1": 8})
    assert told == [
        "model.hidden.0: must be at least 1, got 0",
        "model.hidden.1: must be at least 1, got 0",
    ]


@pytest.mark.parametrize("faulty", ["layers", "hidden.*"])
def test_what_a_faulty_depth_leads_to_is_not_told_beside_it(faulty: str) -> None:
    space = {"layers": LAYERS, "hidden.*": WIDTHS, faulty: {"low": 3, "high": 2}}
    baseline = {"layers": 2, "hidden.0": 32, "hidden.1": 32}
    expected = f"space.{faulty}: low <= high must hold, got low=3 and high=2"
    assert mistakes(space, baseline=baseline) == [expected]


def test_there_are_at_most_so_many_parameters_as_a_file_may_name() -> None:
    space = {"layers": {"low": 1, "high": MOST_PARAMETERS // 2}, "hidden.*": WIDTHS}
    each = {f"blocks.*.{part}": [1, 2] for part in ("kernel", "pool")}
    [message] = mistakes({**space, "blocks": [1, 99], **each}, model={"family": "convnet"})
    assert message == (
        "space: takes at most 200 parameters, got 300 with one for each entry that a * stands for"
    )
    assert dump(experiment(space).search_space.parameters["hidden.99"])["when"] == {"layers": [100]}
