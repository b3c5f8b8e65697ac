"""From an experiment and drawn values to the settings of one training, and back from plain data."""

from __future__ import annotations

from typing import Any

import pytest

from spaces import InputError
from spaces.checks import parse_experiment
from spaces.settings.model import Convnet, Mlp
from spaces.training_config import CodeConfig, TrainConfig, identity, parse_config, resolve

CODE = """
def train(config, context):
    yield {"loss": 1.0}
"""


def plain(**changes: Any) -> dict[str, Any]:
    space = {"lr": {"low": 0.1, "high": 1.0}}
    return {"name": "x", "seed": 4, "budget": {"trials": 1}, "space": space, **changes}


def built_in() -> TrainConfig:
    experiment = parse_experiment(plain(scheduler={"max_epochs": 9}, resources={"cpus": 2}))
    config = resolve(experiment, {"lr": 0.5}, seed=11)
    assert isinstance(config, TrainConfig)
    return config


def test_a_config_holds_all_that_the_training_depends_on() -> None:
    config = built_in()
    assert (config.train.lr, config.seed, config.split_seed) == (0.5, 11, 4)
    assert (config.epochs, config.max_epochs, config.threads) == (9, 9, 2)


def test_a_config_reads_back_from_plain_data() -> None:
    assert parse_config(built_in().model_dump(mode="json")) == built_in()


def test_own_code_is_given_its_fixed_values_and_what_was_drawn(tmp_path: Any) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    changes = {"trainable": f"{tmp_path}/mine.py:train", "train": {"width": 8, "lr": 0.3}}
    config = resolve(parse_experiment(plain(**changes)), {"lr": 0.5}, seed=11)
    assert isinstance(config, CodeConfig)
    assert config.settings == {"width": 8, "lr": 0.5}
    assert parse_config(config.model_dump(mode="json")) == config


def test_every_mistake_in_a_config_is_told() -> None:
    data = {**built_in().model_dump(mode="json"), "epochs": 0, "sede": 1}
    with pytest.raises(InputError) as caught:
        parse_config(data)
    assert {problem.path for problem in caught.value.problems} == {"epochs", "sede"}


def test_settings_with_their_defaults_are_no_part_of_an_identity() -> None:
    """So a version that has more of them takes up what this one has saved."""

    class Later(TrainConfig):
        more: int = 1

    config = built_in()
    later = Later.model_validate(config.model_dump())
    assert identity(later) == identity(config)
    assert identity(later.model_copy(update={"more": 2})) != identity(config)
    assert identity(config.model_copy(update={"threads": 7})) == identity(config)


def test_model_families_with_the_same_settings_have_identities_of_their_own() -> None:
    config = built_in()
    models = [Mlp(hidden=[4]), Convnet(hidden=[4])]
    assert len({identity(config.model_copy(update={"model": model})) for model in models}) == 2
