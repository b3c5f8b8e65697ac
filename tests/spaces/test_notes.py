"""What a file says that may not be what is meant, short forms, and mistakes told in one round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from spaces.files import load_experiment
from spaces.problems import InputError

LR = {"lr": 1}
OWN = "def train(config, context):\n    yield {'score': 1.0}\n"


def load(folder: Path, *changes: str, **sections: Any) -> tuple[dict[str, Any], list[str]]:
    """What a file is read as, and what is noted on it."""
    (folder / "own.py").write_text(OWN)
    file = folder / "x.yaml"
    data = {} if "trainable" in sections else {"dataset": "digits"}
    data |= {"name": "x", "budget": {"trials": 3}, **sections}
    file.write_text(yaml.safe_dump({key: held for key, held in data.items() if held is not None}))
    notes: list[str] = []
    return load_experiment(file, changes, notes.append).plain(), notes


def mistakes(folder: Path, *changes: str, **sections: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(folder, *changes, **sections)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["lr", "train.lr", "dropout", "init.std", "schedule.gamma"])
def test_a_list_of_two_rising_numbers_for_a_real_field_is_noted(tmp_path: Path, name: str) -> None:
    _, notes = load(tmp_path, space={name: [1e-4, 1e-1]})
    assert len(notes) == 1
    assert notes[0].startswith(f"space.{name}: a list is choices: only 0.0001 and 0.1 are tried")
    assert "{low: 0.0001, high: 0.1}" in notes[0]


@pytest.mark.parametrize(
    "space",
    [
        {"lr": {"choices": [1e-4, 1e-1]}},
        {"lr": [1e-4, 1e-3, 1e-1]},
        {"lr": [1e-1, 1e-4]},
        {"lr": [1e-2]},
        {"lr": {"low": 1e-4, "high": 1e-1}},
        {"batch_size": [16, 256]},
        {"activation": ["relu", "tanh"]},
        {"nesterov": [False]},
    ],
)
def test_other_choices_are_not_noted(tmp_path: Path, space: dict[str, Any]) -> None:
    assert load(tmp_path, space=space)[1] == []


def test_a_grid_and_whole_numbers_of_own_code_are_not_noted(tmp_path: Path) -> None:
    assert load(tmp_path, space={"dropout": [0.0, 0.5]}, sampler="grid")[1] == []
    own: dict[str, Any] = {"trainable": "own.py:train", "metric": {"name": "score", "mode": "max"}}
    assert load(tmp_path, **own, space={"width": [64, 128]})[1] == []
    assert len(load(tmp_path, **own, space={"rate": [0, 0.5]})[1]) == 1


@pytest.mark.parametrize(
    ("metric", "noted"),
    [
        ({"name": "val_loss", "mode": "max"}, "lower values of val_loss"),
        ({"name": "val_accuracy", "mode": "min"}, "higher values of val_accuracy"),
        ({"name": "val_loss", "mode": "min"}, None),
        ({"name": "val_accuracy"}, None),
        ("val_loss", None),
    ],
)
def test_a_direction_against_the_name_is_noted(
    tmp_path: Path, metric: Any, noted: str | None
) -> None:
    _, notes = load(tmp_path, metric=metric)
    assert [noted in note for note in notes if noted] == [True] * bool(noted)
    assert len(notes) == bool(noted)


def test_a_direction_of_a_name_that_tells_nothing_is_not_noted(tmp_path: Path) -> None:
    for mode in ("min", "max"):
        own = {"trainable": "own.py:train", "metric": {"name": "reach", "mode": mode}}
        assert load(tmp_path, **own)[1] == []


def test_a_name_is_short_for_a_section_of_that_name(tmp_path: Path) -> None:
    short = {
        "sampler": "random",
        "scheduler": "none",
        "metric": "val_loss",
        "dataset": "mnist",
        "train": {"schedule": "cosine"},
    }
    found, _ = load(tmp_path, **short)
    assert found["sampler"] == {"name": "random"}
    assert found["scheduler"]["name"] == "none"
    assert found["metric"] == {"name": "val_loss", "mode": "min", "scope": "last"}
    assert found["dataset"]["name"] == "mnist"
    changed, _ = load(tmp_path, "scheduler.max_epochs=3", "train.schedule.warmup_epochs=1", **short)
    assert changed["scheduler"]["max_epochs"] == 3
    assert changed["train"]["schedule"]["name"] == "cosine"


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"sampler": "bayes"}, "sampler.name: must be 'curves', 'tpe', 'gp', 'cmaes', 'random',"),
        (
            {"scheduler": "hyperband"},
            "scheduler.name: must be 'asha', 'freeze_thaw' or 'none', got 'hyperband'",
        ),
        ({"sampler": 3}, "sampler: must be a mapping with some of the keys name, got 3"),
        ({"sampler": ["tpe"]}, "sampler: must be a mapping with some of the keys name, got ['tpe"),
    ],
)
def test_what_is_no_name_is_told_with_the_valid_ones(
    tmp_path: Path, sections: dict[str, Any], told: str
) -> None:
    (found,) = mistakes(tmp_path, **sections)
    assert found.startswith(told)


def test_the_field_that_is_missing_in_a_named_choice_is_named(tmp_path: Path) -> None:
    depth = {"d1": {"blocks": [{"kernel": 3}]}, "d2": {"blocks": [{"channels": 3}]}}
    found = mistakes(tmp_path, model={"family": "convnet"}, dataset="mnist", space={"depth": depth})
    assert found == ["space.depth.d1: blocks.0.channels: is required"]


def test_mistakes_of_all_kinds_come_in_one_round(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "bugdet.trials=3",
        "seed",
        space={
            "lr": {"low": 1.0, "high": 0.1},  # a rule of its section
            "momentum": {"low": 0.0, "high": 0.9, "when": {"lr": 1.0}},  # hangs on that
            "dropout": {"low": 0.0, "high": 2.0},  # a rule of the field that it sets
            "nope": [1],
        },
        model={"activation": "rel"},
        baseline={"lr": 3.0, "momentum": 0.5, "dropout": 0.1, "nope": 1, "foo": 3},
        sampler="bayes",
        metric="val_acuracy",
    )
    places = [line.split(": ")[:2] for line in found]
    assert [place if place == "--set" else (place,) for place, *_ in places][:2] == ["--set"] * 2
    assert sorted(place for place, *_ in places[2:]) == [
        "baseline.foo",
        "metric.name",
        "model.activation",
        "sampler.name",
        "space.dropout.high",
        "space.lr",
        "space.nope",
    ]


@pytest.mark.parametrize(
    "sections",
    [
        {"model": {"family": "convnett"}, "space": {"blocks.0.kernel": [3]}},
        {"train": {"optimizer": "sdg"}, "space": {"nesterov": [True]}},
        {"space": {"lr": {"low": 2, "high": 1}, "momentum": {"low": 0, "high": 0.5, "when": LR}}},
        {"scheduler": {"max_epochs": -1, "min_epochs": 100}},
    ],
)
def test_what_follows_from_a_mistake_is_not_told_as_another(
    tmp_path: Path, sections: dict[str, Any]
) -> None:
    assert len(mistakes(tmp_path, **sections)) == 1


def test_a_file_that_names_no_data_is_told_which_it_has(tmp_path: Path) -> None:
    _, notes = load(tmp_path, dataset=None)
    assert notes == ["dataset: left out, so the data is digits, which is built in"]
    assert load(tmp_path, trainable="own.py:train", metric={"name": "score"})[1] == []


@pytest.mark.parametrize(
    ("target", "more", "is_noted"),
    [
        ("rooms", {}, True),
        ("rooms", {"task": "classification"}, False),
        ("rooms", {"task": "regression"}, False),
        ("sold", {}, False),
        ("street", {}, False),
        ("price", {}, False),
    ],
)
def test_whole_numbers_that_are_taken_for_classes_are_noted(
    target: str, more: dict[str, str], is_noted: bool, tmp_path: Path
) -> None:
    rows = [f"{n % 6},{n % 2},s{n % 3},{n}.5" for n in range(60)]
    (tmp_path / "houses.csv").write_text("\n".join(["rooms,sold,street,price", *rows]))
    table = {"name": "table", "file": "houses.csv", "target": target, **more}
    _, notes = load(tmp_path, dataset=table)
    told = "dataset.target: 6 classes of 'rooms', whose values are whole numbers; for a regression "
    assert notes == ([f"{told}write task: regression"] if is_noted else [])
