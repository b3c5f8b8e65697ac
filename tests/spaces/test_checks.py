"""Bad input in a file: every mistake in one go, each with its dotted path and the rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spaces import InputError
from spaces.checks import parse_experiment

OWN_CODE = Path(__file__).with_name("own_code.py")
OWN = {"trainable": f"{OWN_CODE}:train", "metric": {"name": "loss"}}
LR = {"low": 0.1, "high": 1.0}


def mistakes(**sections: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_experiment({"name": "x", "budget": {"trials": 1}, **sections})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"name": 5}, "name: must be a text, got 5"),
        ({"seed": "one"}, "seed: must be a whole number, got 'one'"),
        ({"seed": 2**32}, "seed: must be below 4294967296, got 4294967296"),
        ({"seed": True}, "seed: must be a whole number, got True"),
        ({"train": {"lr": "fast"}}, "train.lr: must be a number, got 'fast'"),
        ({"train": {"lr": -1.0}}, "train.lr: must be above 0.0, got -1.0"),
        ({"model": {"dropout": 1.0}}, "model.dropout: must be below 1.0, got 1.0"),
        ({"model": {"hidden": 5}}, "model.hidden: must be a list, got 5"),
        ({"model": {"hidden": [5, 0]}}, "model.hidden.1: must be at least 1, got 0"),
        ({"train": {"nesterov": 1}}, "train.nesterov: must be true or false, got 1"),
        ({"space": {"lr": {"low": 0.1}}}, "space.lr.high: is required"),
        (
            {"space": {"lr": {"low": 1.0, "high": 0.1}}},
            "space.lr: low <= high must hold, got low=1.0 and high=0.1",
        ),
        (
            {"space": {"lr": {"low": 0, "high": 1.0, "log": True}}},
            "space.lr: log needs low > 0, got low=0.0",
        ),
        ({"space": {"lr": {**LR, "step": 0.0}}}, "space.lr: step must be above 0, got 0.0"),
        (
            {"space": {"lr": {**LR, "step": 0.1, "log": True}}},
            "space.lr: log and step exclude each other",
        ),
        (
            {"space": {"lr": {**LR, "high": float("inf")}}},
            "space.lr.high: must be a finite number, got inf",
        ),
        ({"space": {"activation": []}}, "space.activation.choices: needs at least 1, got []"),
        (
            {"space": {"activation": ["relu", "relu"]}},
            "space.activation: choices must differ, got 'relu' more than once",
        ),
        (
            {"space": {"lr": {**LR, "when": {"optimizer": []}}}},
            "space.lr.when: must name at least one value of each parameter, got {'optimizer': []}",
        ),
        (
            {"space": {"activation": ["relu", "swish"]}},
            "space.activation.1: must be 'none', 'sigmoid', 'tanh', 'relu', 'leaky_relu', "
            "'elu', 'gelu' or 'silu', got 'swish'",
        ),
        (
            {"space": {"lr": {"low": -1.0, "high": 1.0}}},
            "space.lr.low: must be above 0.0, got -1.0",
        ),
        ({"space": {"hidden.3": [8]}}, "space.hidden.3: there is no entry 3 in a list of 1"),
        ({"space": {"lr.decay": [8]}}, "space.lr.decay: 0.001 has no field 'decay'"),
        (
            {"space": {"lr": LR, "momentum": {**LR, "high": 0.9, "when": {"lr": 5}}}},
            "space.momentum.when.lr: lr must be in [0.1, 1.0], got 5",
        ),
        (
            {
                "space": {
                    "lr": {**LR, "when": {"momentum": 0.5}},
                    "momentum": {"choices": [0.5], "when": {"lr": 0.5}},
                }
            },
            "space: the conditions of lr, momentum form a circle",
        ),
        ({"baseline": {"lr": 0.1}}, "baseline.lr: unknown parameter 'lr'; valid: there is none"),
        (
            {"space": {"lr": LR}, "baseline": {"lr": 5.0}},
            "baseline.lr: must be in [0.1, 1.0], got 5.0",
        ),
        ({"space": {"lr": LR}, "baseline": {}}, "baseline.lr: is missing"),
        (
            {"scheduler": {"min_epochs": 9, "max_epochs": 3}},
            "scheduler.min_epochs: min_epochs <= max_epochs must hold, got 9 and 3",
        ),
        (
            {"resources": {"gpus": 1.5}},
            "resources.gpus: a trial has a share of one GPU, or whole ones, got 1.5",
        ),
        (
            {"resources": {"gpus": 2, "workers": 3}},
            "resources: each of 3 workers has one GPU, or none: gpus must be auto, 0 or 3, got 2",
        ),
        (
            {"resources": {"spread": True}},
            "resources: spread is for several workers, and a trial has one",
        ),
        ({"resources": {"workers": 0}}, "resources.workers: must be at least 1, got 0"),
        (
            {"checkpoint": {"every_epochs": None}},
            "checkpoint: needs every_epochs, every_seconds, or both",
        ),
        (
            {"resources": {"gpus": "many"}},
            "resources.gpus: must be auto, pack or a number, 0 or more, got 'many'",
        ),
        (
            {"resources": {"gpus": "pack", "workers": 2}},
            "resources: with gpus: pack, a trial has one worker, for it shares its GPU, got 2",
        ),
        ({"budget": {}}, "budget: needs one of trials, hours, epochs, target, patience"),
        (
            {"metric": {"name": "test_accuracy"}},
            "metric.name: selection uses validation only, so it must be val_accuracy, val_f1 or "
            "val_loss, got 'test_accuracy'",
        ),
        (
            {"dataset": {"name": "linear"}, "metric": {"name": "val_accuracy"}},
            "metric.name: this is a regression, and selection uses validation only, so it must be "
            "val_loss, got 'val_accuracy'",
        ),
        (
            {"dataset": {"name": "image_folder"}},
            "dataset: image_folder needs root, the folder that holds train/",
        ),
        ({"train": {"nesterov": True}}, "train: nesterov needs optimizer sgd, got adam"),
        ({"model": {"family": "resnet"}}, "model: unknown family 'resnet'; valid: convnet, mlp"),
        (
            {"model": {"family": ["mlp"]}},
            "model: unknown family ['mlp'] (did you mean 'mlp'?); valid: convnet, mlp",
        ),
        ({**OWN, "trainable": "nowhere.py:train"}, "trainable: there is no file nowhere.py"),
        (
            {**OWN, "trainable": "train"},
            "trainable: must look like my_code.py:function or package.module:function, got 'train'",
        ),
        ({**OWN, "model": {}}, "model: is not for your own code; put fixed values under train"),
        (
            {"sampler": {"name": "grid"}, "space": {"lr": LR}},
            "space.lr: a grid needs choices or a step",
        ),
    ],
)
def test_a_mistake_is_told_with_its_path_and_rule(sections: dict[str, Any], message: str) -> None:
    assert mistakes(**sections) == [message]


@pytest.mark.parametrize(
    ("sections", "start", "valid"),
    [
        ({"sede": 1}, "sede: unknown key 'sede' (did you mean 'seed'?)", "space, storage"),
        (
            {"train": {"learning_rate": 1}},
            "train.learning_rate: unknown key 'learning_rate'",
            "batch_size, clip_norm, lr",
        ),
        (
            {"space": {"dropuot": [0.1]}},
            "space.dropuot: unknown field 'dropuot' (did you mean 'dropout'?)",
            "lr, model",
        ),
        (
            {"space": {"lr": {**LR, "when": {"optimiser": "sgd"}}, "optimizer": ["sgd"]}},
            "space.lr.when.optimiser: unknown parameter 'optimiser' (did you mean 'optimizer'?)",
            "optimizer",
        ),
        ({"space": {"lr": {**LR, "lgo": True}}}, "space.lr.lgo: unknown key 'lgo'", "high, log"),
    ],
)
def test_an_unknown_name_is_told_with_the_valid_ones(
    sections: dict[str, Any], start: str, valid: str
) -> None:
    (message,) = mistakes(**sections)
    assert message.startswith(start)
    assert all(name in message.split("valid: ")[1] for name in valid.split(", ") if name != "model")


def test_all_mistakes_of_a_file_are_told_in_one_go() -> None:
    assert mistakes(
        seed="one",
        model={"hidden": [0]},
        space={"lr": {"low": 2.0, "high": 1.0}, "dropout": []},
        scheduler={"min_epochs": 9, "max_epochs": 3},
    ) == [
        "seed: must be a whole number, got 'one'",
        "model.hidden.0: must be at least 1, got 0",
        "space.lr: low <= high must hold, got low=2.0 and high=1.0",
        "space.dropout.choices: needs at least 1, got []",
        "scheduler.min_epochs: min_epochs <= max_epochs must hold, got 9 and 3",
    ]


CLASHING = {"optimizer": ["sgd", "adam"], "nesterov": [True, False]}


def test_values_that_are_valid_alone_but_not_together_are_told() -> None:
    (message,) = mistakes(train={"optimizer": "sgd"}, space=CLASHING)
    assert message.startswith("space: train: nesterov needs optimizer sgd, got adam (with {")


def test_a_space_function_that_fails_is_told() -> None:
    (message,) = mistakes(space=f"{OWN_CODE}:faulty_space")
    place = Path(OWN_CODE).resolve()
    assert message.startswith(f"space: the function of the space failed in {place}, line ")
    assert ": ValueError: `low <= high` must hold" in message


def test_a_function_that_is_not_there_is_told_with_those_that_are() -> None:
    (message,) = mistakes(**{**OWN, "trainable": f"{OWN_CODE}:tarin"})
    assert "has no function 'tarin'" in message
    assert "train" in message.split("it has ")[1]


@pytest.mark.parametrize(
    ("dataset", "metric", "expected"),
    [
        ("digits", {}, ("val_accuracy", "max")),
        ("diabetes", {}, ("val_loss", "min")),
        ("digits", {"name": "val_loss"}, ("val_loss", "min")),
    ],
)
def test_a_metric_left_out_fits_the_task(
    dataset: str, metric: dict[str, Any], expected: tuple[str, str]
) -> None:
    plain = {"name": "x", "budget": {"trials": 1}, "dataset": {"name": dataset}, "metric": metric}
    found = parse_experiment(plain).metric
    assert (found.name, found.mode) == expected


def test_a_baseline_whose_values_do_not_go_together_is_told() -> None:
    """Drawing at random would hardly meet it: one of 10,000 combinations."""
    plain: dict[str, Any] = {f"plain-{n}": {"weight_decay": 0.0} for n in range(99)}
    clipped: dict[str, Any] = {f"plain-{n}": {"clip_norm": 1.0} for n in range(99)}
    data = {
        "name": "x",
        "budget": {"trials": 1},
        "train": {"optimizer": "sgd"},
        "space": {
            "momentum_kind": {**plain, "nesterov": {"nesterov": True}},
            "rule": {**clipped, "adam": {"optimizer": "adam"}},
        },
        "baseline": {"momentum_kind": "nesterov", "rule": "adam"},
    }
    with pytest.raises(InputError, match=r"baseline: .*nesterov needs optimizer sgd, got adam"):
        parse_experiment(data)
