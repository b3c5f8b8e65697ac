"""Small files that ask for much: each is refused with the rule it breaks, at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from search.export.inference import load_model
from spaces.files import load_experiment
from spaces.problems import InputError, Problem
from spaces.text import read_mapping
from tests.support import damage
from tests.support.mutations import laughs
from tests.support.outcomes import outcome, show
from trainables.models.layers import make_norm

GRID = {"sampler": {"name": "grid"}}
TEN_TO_12 = {"low": 0, "high": 10**12}
MANY = "at most 10000 values, in 20 levels"


def code(**changes: Any) -> damage.Data:
    """An experiment of somebody's own code, which may have any parameters."""
    return {**damage.EXPERIMENTS[4], "sampler": {"name": "tpe"}, **changes}


def built_in(**changes: Any) -> damage.Data:
    return {**damage.EXPERIMENTS[0], **changes}


def told(data: damage.Data, folder: Path) -> str:
    """What is said of a file that is refused within the limits of a fuzz case."""
    messages = []

    def load(folder: Path) -> None:
        try:
            show(folder)
        except InputError as error:
            messages.append(str(error))
            raise

    damage.write_whole(data, folder)
    assert outcome(load, folder) == "refused"
    return messages[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (built_in(model={"hidden": [10**10]}), "model.hidden.0: must be at most 1000000000"),
        (built_in(model={"hidden": [10**9]}), "model: a layer has at most 10000000000 weights"),
        (built_in(model={"hidden": [1] * 101}), "model.hidden: takes at most 100, got 101"),
        (built_in(scheduler={"max_epochs": 10**12}), "max_epochs: must be at most 1000000000"),
        (built_in(dataset={"name": "digits", "subset": 10**30}), "dataset.subset: must be at most"),
        (code(space={"x": TEN_TO_12}, **GRID), "space.x: grid takes at most 100000 values"),
        (code(space={"x": TEN_TO_12}, sampler={"name": "gp"}), "space.x: gp takes at most 100000"),
        (code(space={"x": {"low": 0, "high": 10**30}}), "space.x: must lie within ±2**53"),
        (
            code(space={"x": {"low": 0.0, "high": 1.0, "step": 1e-300}}),
            "space.x: there must be at most 2**53 steps",
        ),
        (code(space={"x": {"low": -1e308, "high": 1e308}}), "space.x: high - low must be finite"),
        (code(space={"x": [math.nan]}), "space.x.choices.0: must be a finite number"),
        (code(space={"x": list(range(1001))}), "space.x.choices: takes at most 1000, got 1001"),
        (code(space={f"x{n}": [1] for n in range(201)}), "space: takes at most 200 parameters"),
        (code(space={"x" * 101: [1]}), "the name of a parameter has 1 to 100 characters"),
        (code(train={"x": math.inf}), "train: must be a finite number, got inf"),
        (built_in(resources={"cpus": 1e30}), "resources.cpus: must be at most 1024"),
        (built_in(dataset={"name": "digits", "root": "a\0"}), "dataset.root: is no path"),
        (built_in(storage="~nobody-at-all/x"), "storage: is no path"),
        (code(trainable="a" * 5000 + ".py:train"), "trainable: there is no file /"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_what_no_machine_can_hold_is_told(data: damage.Data, message: str, tmp_path: Path) -> None:
    assert message in told(data, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(12, 9, "[{}]"), MANY),
        (laughs(12, 9, "{{<<: [{}]}}"), MANY),
        (laughs(40, 1, "[{}]"), MANY),
        ("a: &a [*a]", "an alias stands within what it names"),
        ("a: " + "[" * 90_000, "brackets stand in more than 20 levels"),
        ("- " * 40_000, "nested in more than 20 levels"),
        ("a: " + "[[1], [1]],\n" * 9000, "has more than 100000 bytes"),
        ("a: " + "9" * 5000, "a number has at most 100 characters"),
        ("a: 0x" + "f" * 5000, "a number has at most 100 characters"),
        ('a: "\\ud800"', "a text holds half of a surrogate pair"),
        ("a: 2026-01-01", "got the tag !!timestamp (a date is quoted)"),
        ("[a]: b", "a key must be a text, got a list or a mapping"),
        ("a: !!int x", "is no YAML: invalid literal for int()"),
        ("a: !!bool x", "is no YAML: a value does not fit its tag"),
    ],
    ids=range(14),
)
def test_yaml_that_stands_for_too_much_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    messages = []

    def load(file: Path) -> None:
        try:
            read_mapping(file)
        except InputError as error:
            messages.append(str(error))
            raise

    assert outcome(load, tmp_path / "a") == "refused"
    assert message in messages[0]


def test_a_change_as_long_as_no_file_may_be_is_told(tmp_path: Path) -> None:
    file = damage.write_whole(built_in(), tmp_path)
    with pytest.raises(InputError, match="the value of question has more than 100000 characters"):
        load_experiment(file, ["question=" + "x" * 200_000])


def test_a_name_that_is_too_long_for_a_file_is_told() -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_experiment("x" * 5000)


@pytest.mark.parametrize("conditions", [1, 2])
def test_conditions_on_conditions_take_no_time(conditions: int, tmp_path: Path) -> None:
    space: damage.Data = {"a0": [1, 2], "b0": [1, 2]}
    for number in range(1, 60):
        asked = {f"{letter}{number - 1}": 1 for letter in "ab"[:conditions]}
        space |= {f"{letter}{number}": {"choices": [1, 2], "when": asked} for letter in "ab"}
    damage.write_whole(code(space=dict(reversed(space.items()))), tmp_path)
    assert outcome(show, tmp_path) == "loaded"


@pytest.mark.parametrize(("features", "groups"), [(12, 8), (12, 100), (7, 6), (1, 1), (36, 35)])
def test_a_group_norm_takes_the_largest_divisor(features: int, groups: int) -> None:
    norm = make_norm("group", features, groups, spatial=False)
    assert norm.num_groups == max(n for n in range(1, groups + 1) if features % n == 0)


def test_a_bundle_that_claims_a_large_model_takes_no_memory(tmp_path: Path) -> None:
    bundle = damage.make_bundles(tmp_path)[0]
    text = (bundle / "config.yaml").read_text()
    (bundle / "config.yaml").write_text(text.replace("  - 16\n", "  - 100000000\n"))
    with pytest.raises(InputError, match=r"1.weight must be F32 \[100000000, 64\], got"):
        load_model(bundle)


def test_many_and_long_mistakes_are_told_in_a_short_message() -> None:
    problems = [Problem(f"train.x{n}", "wrong " * n) for n in range(5000)]
    told = str(InputError(problems, source="x" * 9000))
    assert len(told) < 4000
    assert "5000 mistakes" in told
    assert "train.x10: " in told
    assert told.endswith(" more")


@pytest.mark.parametrize("value", [True, math.nan, 10**400, "1", None])
def test_the_score_on_record_is_a_finite_number(value: object, tmp_path: Path) -> None:
    bundle = damage.make_bundles(tmp_path)[0]
    text = f'{{"metric": "val_accuracy", "epoch": 9, "value": {json.dumps(value)}}}'
    (bundle / "metrics.json").write_text(text)
    with pytest.raises(InputError, match="value is a finite number"):
        load_model(bundle)
