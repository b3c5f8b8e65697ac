"""Searches of what a training is set by, and by what it reports, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.cli.main import main
from tests.support.invariants import trials_in

SPACE: dict[str, Any] = {
    "label_smoothing": {"low": 0.0, "high": 0.3},
    "class_weights": ["none", "balanced"],
    "crop": {"low": 0, "high": 1},
    "flip": [True, False],
    "cutout": {"low": 0, "high": 3},
    "mixup": {"low": 0, "high": 1},
    "accumulate": {"low": 1, "high": 3},
    "precision": ["float32", "bfloat16"],
    "train.patience": {"low": 1, "high": 2},
}


def search_file(folder: Path, **changes: Any) -> str:
    """An inline search of digits with three epochs a trial."""
    experiment = {
        "name": "settings",
        "dataset": {"name": "digits", "subset": 300},
        "model": {"hidden": [16], "dropout": 0.2},
        "scheduler": {"name": "none", "max_epochs": 3},
        "sampler": "random",
        "budget": {"trials": 4},
        "resources": {"gpus": 0},
        "engine": "inline",
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({**experiment, **changes}))
    return str(file)


def test_every_setting_can_be_searched_by_f1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = search_file(tmp_path, space=SPACE, metric={"name": "val_f1"}, budget={"trials": 6})
    run = str(tmp_path / "run")
    assert main(["search", file, "--run", run]) == 0
    trials = list(trials_in(tmp_path / "run"))
    assert [trial.state for trial in trials] == ["completed"] * 6
    assert {len(trial.params) for trial in trials} == {len(SPACE)}
    capsys.readouterr()
    assert main(["best", run, "--json"]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert best["metric"] == "val_f1"
    values = [trial.reports[-1].metrics["val_f1"] for trial in trials]
    assert best["value"] == max(values)


def test_a_trial_with_patience_completes_before_the_last_epoch(tmp_path: Path) -> None:
    file = search_file(
        tmp_path,
        train={"lr": 1e-9, "optimizer": "sgd", "patience": 2},
        scheduler={"name": "none", "max_epochs": 20},
        budget={"trials": 1},
    )
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 0
    (trial,) = trials_in(tmp_path / "run")
    assert (trial.state, trial.epoch) == ("completed", 3)


def test_a_search_by_auc_is_confirmed_by_the_auc_of_the_test_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = search_file(
        tmp_path,
        dataset={"name": "digits", "classes": [3, 8]},
        space={"lr": {"low": 1e-4, "high": 1e-2, "log": True}},
        metric="val_auc",
        budget={"trials": 2},
        confirm={"top": 1, "seeds": 2},
    )
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 0
    events = [json.loads(line) for line in (tmp_path / "run/journal.jsonl").open()]
    (tested,) = [event for event in events if event["event"] == "tested"]
    assert tested["metric"] == "test_auc"
    assert all(0.5 < score <= 1.0 for score in tested["scores"])
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "best")]) == 0
    held = json.loads((tmp_path / "best/metrics.json").read_text())
    assert held["metric"] == "val_auc"
    assert {"val_accuracy", "val_f1", "val_auc", "val_loss"} <= held["metrics"].keys()


def test_without_a_compiler_a_search_says_so_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    file = search_file(tmp_path, train={"compile": True})
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 1
    assert "train.compile: needs a C++ compiler, and there is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"crop": 8}, "train.crop: must be below the side of the images, 8, got 8"),
        ({"class_weights": [1, 2]}, "train.class_weights: needs one number for each of the 10"),
    ],
)
def test_training_alone_with_settings_that_do_not_fit_is_a_mistake_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], train: dict[str, Any], message: str
) -> None:
    assert main(["train", search_file(tmp_path, train=train)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
