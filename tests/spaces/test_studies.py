"""The ready-made studies: each network is exactly the one that its question is about."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from search.cli.main import main
from search.export.retrain import read_config, train_here
from spaces.files import load_experiment

# (trainable parameters of the baseline, and of each named network)
NETWORKS: dict[str, tuple[int, dict[str, int]]] = {
    "quickstart": (4_810, {}),
    "mnist-dropout": (4_742_954, {}),
    "mnist-activation": (407_050, {}),
    "mnist-learning-rate": (407_050, {}),
    "mnist-schedule": (407_050, {}),
    "mnist-mlp": (109_386, {}),
    "mnist-cnn": (813_802, {}),
    "deep-init": (60_906, {"wide": 2_652_010, "deep": 60_906}),
    "mnist-regularisers": (
        43_114,
        {
            "none": 43_114,
            "dropout": 43_114,
            "dropconnect": 43_114,
            "layer": 43_626,
            "batch": 169_194,
        },
    ),
    "cifar2": (
        18_090,
        {"plain": 18_090, "wide": 544_066, "deep": 85_314, "dropout": 272_674, "batch": 272_802},
    ),
    "linear": (2, {}),
    "mnist-search": (407_050, {"mlp": 407_050}),
    "cifar2-search": (272_674, {}),
}
GRIDS = {
    "mnist-dropout": 2,
    "mnist-activation": 4,
    "mnist-learning-rate": 8,
    "mnist-schedule": 3,
    "mnist-mlp": 5,
    "deep-init": 30,
    "mnist-regularisers": 5,
    "cifar2": 7,
}


def test_every_study_is_listed_with_its_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {study["name"] for study in listed} == set(NETWORKS)
    assert all(study["question"].endswith("?") for study in listed)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_study_has_exactly_the_networks_that_it_is_about(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", name, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    parameters, variants = NETWORKS[name]
    assert shown["parameters"] == parameters
    counted = {variant["name"]: variant["parameters"] for variant in shown["variants"]}
    assert counted.items() >= variants.items()


@pytest.mark.parametrize("name", GRIDS)
def test_a_study_that_compares_tries_every_combination_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"]["grid"] == GRIDS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_configuration_of_a_study_makes_valid_settings(name: str) -> None:
    experiment = load_experiment(name)
    for params in experiment.search_space.samples(40, seed=0):
        model, train = experiment.settings(params)
        assert math.isfinite(train.lr)
        assert model.family in ("mlp", "convnet")


def test_plain_training_agrees_with_the_printed_figures(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean training loss of the first two epochs is about 1.96 and 0.90."""
    monkeypatch.setenv("SHOAL_DATA", str(real_data))
    changes = ["dataset.validation=0.02", "scheduler.max_epochs=2", "resources.gpus=0"]
    config, _ = read_config(Path("mnist-mlp"), changes)
    losses: list[float] = []
    train_here(config, lambda report: losses.append(report.metrics["train_loss"]))
    assert losses == [pytest.approx(1.96, abs=0.1), pytest.approx(0.90, abs=0.1)]


def test_a_study_is_found_where_a_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quickstart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_experiment("quickstart").name == "quickstart"
