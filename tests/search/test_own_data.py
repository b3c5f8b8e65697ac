"""People's own data from the file to the answers: searched, resumed, confirmed, exported, asked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.record.folder import RunFolder, open_run
from search.cli.main import main
from search.export.bundle import export_best
from search.export.predictor import load_predictor
from search.lifecycle import start_search
from spaces.files import load_experiment
from spaces.problems import InputError
from tests.support import inline, tables
from tests.support.commands import message
from trainables.data.splits import load_data


def experiment_file(folder: Path, **dataset: Any) -> Path:
    """A small search of somebody's own data."""
    data = {
        "name": "own",
        "dataset": dataset,
        "model": {"hidden": [16]},
        "train": {"batch_size": 16, "lr": 0.01},
        "space": {"lr": {"low": 0.005, "high": 0.05, "log": True}},
        "baseline": {"lr": 0.01},
        "sampler": "random",
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 3},
        "resources": {"gpus": 0},
        "engine": "inline",
    }
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def searched(file: Path) -> RunFolder:
    run = RunFolder(file.parent / "run")
    start_search(load_experiment(file), run, inline.host())
    return run


def exported(folder: Path, **dataset: Any) -> Path:
    run = searched(experiment_file(folder, **dataset))
    export_best(run.path, folder / "model", with_programs=False)
    return folder / "model"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wine.csv, and the model of a search on it."""
    folder = tmp_path_factory.mktemp("wine")
    tables.write(tables.wine(), folder / "wine.csv")
    exported(folder, name="table", file="wine.csv", target="grower", drop=["lot"], test=0.2)
    return folder


@pytest.fixture(scope="module")
def diabetes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the regression of diabetes.parquet."""
    folder = tmp_path_factory.mktemp("diabetes")
    tables.write(tables.diabetes(), folder / "diabetes.parquet")
    exported(folder, name="table", file="diabetes.parquet", target="progress")
    return folder


def answers(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_grower_of_a_wine_is_told_from_a_csv_file(
    wine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", str(wine / "model"), str(wine / "wine.csv")]) == 0
    shown = capsys.readouterr()
    rows = answers(shown.out)
    assert "note: not used: the columns lot\n" in shown.err
    assert list(rows[0]) == [
        "prediction",
        *(f"probability.{name}" for name in ("barbera", "barolo", "grignolino")),
    ]
    hits = [row["prediction"] for row in rows] == tables.wine()["grower"]
    assert np.mean(hits) > 0.85
    for row in rows:
        shares = {name: float(row[f"probability.{name}"]) for name in set(tables.wine()["grower"])}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert max(shares, key=lambda name: shares[name]) == row["prediction"]


def test_every_kind_of_file_gets_the_same_answers(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, asked = str(wine / "model"), tables.wine().drop(columns=["grower", "lot"])
    files = [tables.write(asked, tmp_path / f"asked{ending}") for ending in (".csv", ".parquet")]
    for number, file in enumerate(files):
        assert main(["predict", model, file, "-o", str(tmp_path / f"{number}.parquet")]) == 0
    assert main(["predict", model, files[0], "-o", str(tmp_path / "out.npz")]) == 0
    capsys.readouterr()
    assert main(["predict", model, files[0], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    first, second = (pd.read_parquet(tmp_path / f"{number}.parquet") for number in range(2))
    pd.testing.assert_frame_equal(first, second)
    archive = np.load(tmp_path / "out.npz", allow_pickle=False)
    assert list(archive["predictions"]) == list(first["prediction"])
    np.testing.assert_allclose(archive["probabilities"], first.iloc[:, 1:])
    assert [row["prediction"] for row in document] == list(first["prediction"])
    frame = load_predictor(model).predict(asked).table().to_pandas()
    pd.testing.assert_frame_equal(frame, first)


def test_a_model_answers_as_in_its_validation(wine: Path) -> None:
    """Its accuracy on the rows that validated it is the accuracy on record."""
    predictor = load_predictor(wine / "model")
    _, experiment, _ = open_run(wine / "run")
    frame = tables.wine()
    predicted = predictor.predict(frame)
    hits = predicted.predictions == frame["grower"].to_numpy()
    data = load_data(experiment.dataset, experiment.seed)
    rows = {row.tobytes(): number for number, row in enumerate(predictor.features(frame).numpy())}
    held = [rows[row.tobytes()] for row in data.validation.inputs]
    recorded = json.loads((wine / "model" / "metrics.json").read_text())["metrics"]
    assert np.mean(hits[held]) == pytest.approx(recorded["val_accuracy"])


def test_a_regression_answers_in_the_targets_own_units(
    diabetes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", str(diabetes / "model"), str(diabetes / "diabetes.parquet")]) == 0
    predicted = [float(row["prediction"]) for row in answers(capsys.readouterr().out)]
    progress = tables.diabetes()["progress"]
    assert np.corrcoef(predicted, progress)[0, 1] > 0.6
    assert np.mean(predicted) == pytest.approx(progress.mean(), rel=0.1)
    recorded = json.loads((diabetes / "model" / "metrics.json").read_text())["metrics"]
    assert 0.2 < recorded["val_loss"] < 0.9  # 1 is what the mean of the training split gets


def test_the_bundles_readme_lists_the_columns_in_their_order(wine: Path, diabetes: Path) -> None:
    card = (wine / "model" / "README.md").read_text()
    assert "The model predicts grower." in card
    assert "for each of dark, light, mid: 1 where it is that, else 0; then 1 where it is" in card
    assert "shoal predict . samples.csv -o answers.csv" in card
    other = (diabetes / "model" / "README.md").read_text()
    assert "Answers are in the target's own units." in other


def test_digits_in_arrays_are_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.write_digits(tmp_path / "digits.npz")
    model = exported(tmp_path, name="arrays", file="digits.npz", group="writer", test=0.2)
    capsys.readouterr()
    assert main(["predict", str(model), str(tmp_path / "digits.npz")]) == 0
    predicted = [row["prediction"] for row in answers(capsys.readouterr().out)]
    hits = np.array(predicted) == np.load(tmp_path / "digits.npz")["y"].astype(str)
    assert hits.mean() > 0.8


def test_a_table_can_be_confirmed_on_its_test_split_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.write(tables.wine(), tmp_path / "wine.csv")
    run = searched(
        experiment_file(tmp_path, name="table", file="wine.csv", target="grower", test=0.2)
    )
    assert main(["confirm", str(run.path), "--top", "2", "--seeds", "2"]) == 0
    assert "test_accuracy" in capsys.readouterr().out
    for command in (["report"], ["replay"], ["best"]):
        assert main([*command, str(run.path)]) == 0


def test_a_resumed_search_says_when_the_table_has_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.write(tables.wine(), tmp_path / "wine.csv")
    file = experiment_file(tmp_path, name="table", file="wine.csv", target="grower")
    run = RunFolder(tmp_path / "run")
    inline.interrupted(load_experiment(file), run, steps=2)
    tables.write(tables.wine()[:-1], tmp_path / "wine.csv")
    assert main(["resume", str(run.path), "--strict"]) == 2
    assert "training data: was 142 samples" in capsys.readouterr().err
    assert main(["resume", str(run.path)]) == 0
    assert open_run(run.path)[2].counts()["failed"] == 0


def test_an_interrupted_search_of_a_table_ends_as_one_in_one_go(tmp_path: Path) -> None:
    curves = []
    for name, steps in (("whole", None), ("parted", 4)):
        folder = tmp_path / name
        folder.mkdir()
        tables.write(tables.diabetes(), folder / "diabetes.csv")
        file = experiment_file(folder, name="table", file="diabetes.csv", target="progress")
        run = RunFolder(folder / "run")
        if steps is None:
            start_search(load_experiment(file), run, inline.host())
        else:
            inline.interrupted(load_experiment(file), run, steps)
            inline.resumed(run)
        trials = open_run(run.path)[2]
        curves.append(
            [[report.metrics["val_loss"] for report in trial.reports] for trial in trials]
        )
    assert curves[0] == curves[1]


def test_a_run_is_read_and_exported_when_its_table_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables.write(tables.wine(), tmp_path / "wine.csv")
    run = searched(experiment_file(tmp_path, name="table", file="wine.csv", target="grower"))
    asked = tables.write(tables.wine(), tmp_path / "asked.csv")
    (tmp_path / "wine.csv").unlink()
    assert main(["status", str(run.path)]) == 0
    export_best(run.path, tmp_path / "model", with_programs=False)
    assert main(["predict", str(tmp_path / "model"), asked]) == 0
    capsys.readouterr()
    assert "there is no such file" in message(capsys, "resume", str(run.path), "--trials", "1")


def test_what_can_not_be_asked_is_one_message(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, frame = str(wine / "model"), tables.wine()
    tables.write_digits(tmp_path / "digits.npz")
    cases = {
        "the columns 'ash', 'hue' are missing": frame.drop(columns=["ash", "hue"]),
        "the column 'alcohol' is missing": frame.drop(columns="alcohol"),
        "column 'ash': CSV conversion error to double": frame.assign(ash="much"),
        "has no rows": frame[:0],
        "column 'ash' holds 178 infinite numbers": frame.assign(ash=np.inf),
    }
    for told, asked in cases.items():
        file = tables.write(asked, tmp_path / "asked.csv")
        assert told in message(capsys, "predict", model, file)
    file = tables.write(frame.rename(columns={"alcohol": "Alcohol"}), tmp_path / "asked.csv")
    assert "is missing; did you mean 'Alcohol'?" in message(capsys, "predict", model, file)
    whole = str(wine / "wine.csv")
    for arguments, told in (
        (["none.csv"], "there is no such file"),
        ([str(tmp_path / "digits.npz")], "was trained on a table, and takes one"),
        (["picture.png"], "was trained on a table, and takes a CSV or Parquet file"),
        ([whole, whole], "takes one table or .npz file at a time, got 2 files"),
        ([whole, "-o", "answers.png"], "the name must end in .parquet, .csv, .json, .npz"),
        ([whole, "-o", "/no/where.csv"], "can't be written"),
        ([whole, "-o", "/no/where.npz"], "can't be written"),
    ):
        assert told in message(capsys, "predict", model, *arguments)


def test_what_the_training_data_had_not_is_noted(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tables.wine().assign(colour="pink", hue=np.nan).drop(columns=["lot", "grower"])
    file = tables.write(asked, tmp_path / "asked.csv")
    capsys.readouterr()
    assert main(["predict", str(wine / "model"), file]) == 0
    noted = capsys.readouterr().err
    assert "note: column 'colour': 178 of categories that the training data had not, such" in noted
    assert "note: column 'hue': 178 missing, which count as the mean" in noted
    assert "not used" not in noted


def test_a_predictor_in_python_lists_the_columns_that_are_missing(wine: Path) -> None:
    predictor = load_predictor(wine / "model")
    with pytest.raises(InputError, match="the columns 'ash', 'hue' are missing"):
        predictor.predict(tables.wine().drop(columns=["ash", "hue"]))
    with pytest.raises(InputError, match=r"must be a pandas frame or a pyarrow\.Table"):
        predictor.predict([[1.0]])
