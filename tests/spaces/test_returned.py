"""What a space that is a function returns: settings, computed from what it drew."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
import pytest

from spaces import Experiment, InputError, SearchSpace
from spaces.checks import parse_experiment
from spaces.problems import RunError
from spaces.recorded import RecordedSpace
from spaces.returned import returned_settings
from spaces.settings.model import Convnet
from spaces.training_config import CodeConfig, TrainConfig, resolve

OWN_CODE = Path(__file__).with_name("own_code.py")
PYRAMID = (
    "depth = trial.suggest_int('depth', 1, 3)\n"
    "first = trial.suggest_int('first', 16, 64)\n"
    "trial.suggest_float('lr', 1e-3, 1e-1)\n"
    "return {'hidden': [first // 2**n for n in range(depth)], 'norm': 'batch'}\n"
)


def experiment(folder: Path, body: str, **sections: Any) -> Experiment:
    code = folder / "space.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    code.write_text(f"import optuna\n\ndef space(trial):\n{lines}")
    data = {"name": "x", "budget": {"trials": 1}, "space": f"{code}:space", **sections}
    return parse_experiment(data)


def mistakes(folder: Path, body: str, **sections: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        experiment(folder, body, **sections)
    return [str(problem) for problem in caught.value.problems]


def test_what_a_function_returns_belongs_to_the_configuration(tmp_path: Path) -> None:
    searched = experiment(tmp_path, PYRAMID)
    params = {"depth": 3, "first": 40, "lr": 0.05}
    config = resolve(searched, params, seed=1)
    assert isinstance(config, TrainConfig)
    assert (config.model.hidden, config.model.norm, config.train.lr) == (
        [40, 20, 10],
        "batch",
        0.05,
    )


def test_a_list_of_blocks_may_be_returned(tmp_path: Path) -> None:
    body = "n = trial.suggest_int('n', 1, 3)\nreturn {'blocks': [{'channels': 4 * n}] * n}\n"
    searched = experiment(tmp_path, body, model={"family": "convnet"})
    config = resolve(searched, {"n": 2}, seed=1)
    assert isinstance(config, TrainConfig)
    assert isinstance(config.model, Convnet)
    assert [block.channels for block in config.model.blocks] == [8, 8]


def test_own_code_is_given_what_its_space_returned(tmp_path: Path) -> None:
    own = {"trainable": f"{OWN_CODE}:train", "metric": {"name": "loss"}, "train": {"bias": True}}
    body = "n = trial.suggest_int('n', 1, 3)\nreturn {'sizes': [n] * n, 'bias': False}\n"
    config = resolve(experiment(tmp_path, body, **own), {"n": 2}, seed=1)
    assert isinstance(config, CodeConfig)
    assert config.settings == {"bias": False, "n": 2, "sizes": [2, 2]}


def test_a_trial_has_what_was_returned_then_not_what_would_be_now(tmp_path: Path) -> None:
    searched = experiment(tmp_path, PYRAMID)
    params = {"depth": 1, "first": 40, "lr": 0.05}
    config = resolve(searched, params, seed=1, returned={"hidden": [7]})
    assert isinstance(config, TrainConfig)
    assert (config.model.hidden, config.model.norm) == ([7], "none")


def test_a_function_is_drawn_from_once_for_its_params_and_what_it_returns() -> None:
    calls = []

    def space(trial: optuna.Trial) -> dict[str, Any]:
        calls.append(trial.number)
        return {"hidden": [trial.suggest_int("width", 1, 99)]}

    drawn = SearchSpace(space).draw(optuna.create_study().ask())
    assert drawn.settings == {"hidden": [drawn.params["width"]]}
    assert calls == [0]


@pytest.mark.parametrize(
    ("returned", "settings"),
    [
        (None, {}),
        ({}, {}),
        ({"lr": 0.1}, {}),  # as it was drawn
        ({"hidden": (8, 4)}, {"hidden": [8, 4]}),
        ({"hidden": [np.int64(8)], "norm": np.str_("batch")}, {"hidden": [8], "norm": "batch"}),
        (
            {"dropout": np.float32(0.5), "nesterov": np.bool_(True)},
            {"dropout": 0.5, "nesterov": True},
        ),
        (MappingProxyType({"schedule": {"name": "cosine"}}), {"schedule": {"name": "cosine"}}),
    ],
)
def test_what_is_returned_becomes_plain_data(returned: Any, settings: dict[str, Any]) -> None:
    found = returned_settings(returned, {"lr": 0.1})
    assert found == settings
    assert [type(value) for value in found.values()] == [type(v) for v in settings.values()]


def test_what_a_function_changes_later_does_not_change_what_it_returned() -> None:
    kept = {"hidden": [8]}
    found = returned_settings(kept, {})
    kept["hidden"].append(9)
    assert found == {"hidden": [8]}


RULE = "space: the function of the space must return None or a mapping of settings"
HOLDS = "it may hold texts, finite numbers, true, false, null, lists and mappings"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("3", f"{RULE}, got 3"),
        ("[8, 8]", f"{RULE}, got [8, 8]"),
        ("{'hidden': {8}}", f"{RULE}; {HOLDS}, got {{8}}"),
        ("{'dropout': float('nan')}", f"{RULE}; {HOLDS}, got nan"),
        ("{'init': {1: 2}}", f"{RULE}; the keys of a mapping must be texts, got 1"),
        ("{'lr': 0.5}", "space: the function of the space draws lr 0.001 and returns 0.5"),
        ("{'hiden': [8]}", "space: unknown field 'hiden' (did you mean 'hidden'?); valid: "),
        ("{'hidden': [0]}", "space: model.hidden.0: must be at least 1, got 0 (with {'lr': 0.001,"),
        ("{'layers': 101}", "space: must be a whole number from 0 to 100, got 101 (with "),
        (
            "{'train.lr': 0.5}",
            "space.train.lr (returned): sets train.lr, which space.lr sets, too; drop one of them",
        ),
        (
            "{'hidden': [8], 'layers': 3}",
            "space.layers (returned): sets model.hidden, which space.hidden (returned) sets, too",
        ),
    ],
)
def test_what_is_no_mapping_of_settings_is_told(
    returned: str, message: str, tmp_path: Path
) -> None:
    body = f"trial.suggest_categorical('lr', [0.001])\nreturn {returned}\n"
    [found] = mistakes(tmp_path, body)
    assert found.startswith(message)


def test_without_anything_returned_every_name_must_be_a_field(tmp_path: Path) -> None:
    [message] = mistakes(tmp_path, "trial.suggest_int('units', 1, 3)\n")
    assert message.startswith("space: unknown field 'units'")


def test_a_nest_without_an_end_is_told() -> None:
    endless: dict[str, Any] = {}
    endless["init"] = endless
    with pytest.raises(RunError, match="it holds more than 20 levels"):
        returned_settings(endless, {})


def test_a_baseline_has_what_the_function_returns_for_it(tmp_path: Path) -> None:
    baseline = {"depth": 2, "first": 16, "lr": 0.01}
    assert experiment(tmp_path, PYRAMID, baseline=baseline).baseline == baseline
    body = "n = trial.suggest_int('n', 0, 10**6)\nreturn {'hidden': [n or 0]}\n"
    [message] = mistakes(tmp_path, body, baseline={"n": 0})
    assert message == "baseline: model.hidden.0: must be at least 1, got 0"


def test_only_a_function_returns_settings() -> None:
    space = parse_experiment({"name": "x", "budget": {"trials": 1}}).search_space
    with pytest.raises(InputError, match="trial 3: settings: only a function as space returns any"):
        space.check(3, {}, {"hidden": [8]})
    RecordedSpace().check(3, {}, {"hidden": [8]}, is_recorded=True)


def test_a_run_that_is_only_read_asks_no_function(tmp_path: Path) -> None:
    searched = experiment(tmp_path, PYRAMID).only_read()
    params = {"depth": 1, "first": 40, "lr": 0.05}
    assert isinstance(resolve(searched, params, 1, {"hidden": [40]}), TrainConfig)
    with pytest.raises(InputError, match="a run is read without running it"):
        resolve(searched, params, 1)
