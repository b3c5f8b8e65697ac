"""``shoal table``: what pandas and polars read is what the journal says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.record.folder import open_run
from analysis.views.table import trial_table
from search.cli.main import main
from tests.support import examples
from tests.support.commands import message


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Trials with a condition, choices of different kinds, one diverged and one without reports."""
    space: dict[str, Any] = {
        "lr": {"low": 1e-4, "high": 1.0, "log": True},
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        "clip_norm": [None, 1, 2.5],
    }
    coordinator = examples.coordinator(tmp_path, space=space, budget={"trials": 8})
    examples.run_all(coordinator, reports=12)
    number = next(iter(coordinator.trials.running))
    epoch = coordinator.trials.by_number[number].epoch + 1
    examples.report(coordinator, number, epoch, value=math.nan)
    examples.run_all(coordinator)
    coordinator.close()
    return tmp_path


def written(run: Path, name: str, *more: str) -> Path:
    file = run / name
    assert main(["table", str(run), "-o", str(file), *more]) == 0
    return file


def test_a_parquet_file_has_every_trial_as_the_journal_has_it(run: Path) -> None:
    frame = pd.read_parquet(written(run, "trials.parquet"))
    _, experiment, trials = open_run(run)
    assert list(frame["trial"]) == [trial.number for trial in trials]
    assert list(frame["state"]) == [trial.state for trial in trials]
    assert list(frame["epoch"]) == [trial.epoch for trial in trials]
    for row, trial in zip(frame.to_dict("records"), trials, strict=True):
        value = trial.value(experiment.metric)
        assert math.isnan(row["value"]) if value is None else row["value"] == value
        assert row["params.lr"] == trial.params["lr"]
        assert pd.isna(row["params.momentum"]) == ("momentum" not in trial.params)
        assert row["started"].timestamp() == pytest.approx(trial.started, abs=1e-5)
    assert "diverged" in set(frame["state"])


def test_with_epochs_there_is_a_row_for_every_report(run: Path) -> None:
    frame = pd.read_csv(written(run, "reports.csv", "--epochs"))
    _, _, trials = open_run(run)
    expected = [(t.number, r.epoch) for t in trials for r in t.reports]
    assert list(zip(frame["trial"], frame["epoch"], strict=True)) == expected
    values = [r.metrics["val_accuracy"] for t in trials for r in t.reports]
    assert frame["value"].tolist() == pytest.approx(values, nan_ok=True)


def test_json_is_strict_and_has_null_where_there_is_nothing(run: Path) -> None:
    text = written(run, "trials.json").read_text()
    rows = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert [row["trial"] for row in rows] == list(range(8))
    assert any(row["value"] is None for row in rows if row["state"] == "diverged")


def test_choices_of_different_kinds_are_texts(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {}\n")
    coordinator = examples.own_code_coordinator(tmp_path, space={"x": ["auto", 1, None]})
    for number in range(6):
        coordinator.next_trial()
        coordinator.report(number, 1, {"score": 1.0})
    column = trial_table(coordinator.trials, coordinator.experiment.metric)["params.x"]
    assert set(column.to_pylist()) <= {"auto", "1", None}


def test_a_whole_number_that_no_column_holds_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {}\n")
    coordinator = examples.own_code_coordinator(tmp_path, space={"x": [10**30, 1]})
    for number in range(6):
        coordinator.next_trial()
        coordinator.report(number, 1, {"score": 1.0})
    column = trial_table(coordinator.trials, coordinator.experiment.metric)["params.x"]
    assert set(column.to_pylist()) == {str(10**30), "1"}


def test_a_run_without_trials_is_an_empty_table(tmp_path: Path) -> None:
    examples.coordinator(tmp_path).close()
    assert json.loads(written(tmp_path, "trials.json").read_text()) == []


def test_mistakes_are_one_clear_message(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = message(capsys, "table", str(run), "-o", "trials.xls")
    assert "the name must end in .parquet, .csv, .json, got 'trials.xls'" in told
    assert "can't be written" in message(capsys, "table", str(run), "-o", "/nowhere/trials.csv")
    assert "is no run folder" in message(capsys, "table", str(run / "no"), "-o", "trials.csv")
    assert "-o" in message(capsys, "table", str(run))
