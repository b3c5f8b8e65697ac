"""Tables and arrays in an experiment file: rules, paths, and the task that a target says."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaces import Experiment, InputError, load_experiment
from spaces.checks import parse_experiment
from spaces.files import read_experiment, save_experiment
from spaces.settings.any_dataset import file_fields
from spaces.settings.own_data import Table
from spaces.training_config import identity, resolve

TABLE = "a,b,c,y\n" + "".join(f"{n},x{n % 3},{n % 5},{{y{n}}}\n" for n in range(40))


def write_table(folder: Path, targets: list[Any]) -> Path:
    file = folder / "data.csv"
    file.write_text(TABLE.format(**{f"y{n}": held for n, held in enumerate(targets)}))
    return file


def experiment(dataset: dict[str, Any], **sections: Any) -> Experiment:
    return parse_experiment({"name": "x", "dataset": dataset, "budget": {"trials": 1}, **sections})


def message(dataset: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        experiment(dataset)
    return str(caught.value)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (["yes", "no"], "classification"),
        (["true", "false"], "classification"),
        (list(range(20)), "classification"),
        (["1.0", "2.0"], "classification"),
        (list(range(21)), "regression"),
        ([0.5, 1.0], "regression"),
    ],
)
def test_the_target_of_a_table_says_the_task(targets: list[Any], task: str, tmp_path: Path) -> None:
    file = write_table(tmp_path, [targets[n % len(targets)] for n in range(40)])
    found = experiment({"name": "table", "file": str(file), "target": "y"})
    assert isinstance(found.dataset, Table)
    assert found.dataset.task == task
    assert found.metric.name == ("val_loss" if task == "regression" else "val_accuracy")


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        (np.array(["a", "b"] * 20), "classification"),
        (np.arange(40) > 3, "classification"),
        (np.arange(40) % 10, "classification"),
        ((np.arange(40) % 10)[:, None], "classification"),
        (np.arange(40), "regression"),
        (np.ones((40, 2)), "regression"),
    ],
)
def test_y_of_arrays_says_the_task(targets: Any, task: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((40, 2)), y=targets)
    found = experiment({"name": "arrays", "file": str(tmp_path / "data.npz")})
    assert found.dataset.is_regression == (task == "regression")


def test_the_task_may_be_stated(tmp_path: Path) -> None:
    file = write_table(tmp_path, [n % 3 for n in range(40)])
    stated = {"name": "table", "file": str(file), "target": "y", "task": "regression"}
    assert experiment(stated).metric.name == "val_loss"


def test_a_resolved_experiment_is_read_without_the_data(tmp_path: Path) -> None:
    file = write_table(tmp_path, ["a", "b"] * 20)
    found = experiment({"name": "table", "file": str(file), "target": "y"})
    save_experiment(found, tmp_path / "experiment.yaml")
    file.unlink()
    assert load_experiment(tmp_path / "experiment.yaml") == found


def test_files_are_seen_from_the_experiment_file_and_changes_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    dataset = {"name": "table", "file": "all.csv", "test": "t.csv", "target": "y", "task": None}
    data = {"name": "x", "dataset": {**dataset, "task": "regression"}, "budget": {"trials": 1}}
    found = read_experiment(data, tmp_path / "there", ["dataset.test=mine.csv"]).dataset
    assert isinstance(found, Table)
    assert found.file == str(tmp_path / "there" / "all.csv")
    assert found.test == str(tmp_path / "here" / "mine.csv")


def test_where_the_data_lie_is_no_part_of_an_identity() -> None:
    dataset = {"name": "table", "file": "a.csv", "target": "y", "task": "regression"}
    first, moved, other = (
        experiment({**dataset, **change}) for change in ({}, {"file": "b.csv"}, {"drop": ["c"]})
    )
    identities = [identity(resolve(held, {}, seed=0)) for held in (first, moved, other)]
    assert identities[0] == identities[1] != identities[2]
    assert file_fields(first.dataset) == ["file"]


def test_the_rules_of_a_table_are_each_one_message() -> None:
    table = {"name": "table", "file": "a.csv", "target": "y", "task": "classification"}
    for change, told in (
        ({"file": None}, "dataset: needs file or train, the samples to train on; got neither"),
        ({"train": "b.csv"}, "dataset: needs file or train, the samples to train on; got both"),
        ({"target": None}, "dataset.target: must be a text, got None"),
        ({"target": ""}, "dataset.target: must not be empty"),
        ({"task": "sorting"}, "dataset.task: must be 'classification' or 'regression', got"),
        ({"validation": 0}, "dataset.validation: must be a share between 0 and 1, or a file, got"),
        ({"test": 1.5}, "dataset.test: must be a share between 0 and 1, or a file, got 1.5"),
        ({"drop": ["y"]}, "dataset: 'y' can't be in target and in drop"),
        ({"group": "y"}, "dataset: 'y' can't be in target and in group"),
        ({"drop": ["c"], "categories": ["c"]}, "dataset: 'c' can't be in drop and in categories"),
        ({"task": "regression", "classes": ["a", "b"]}, "dataset: classes are for classification"),
        ({"normalize": "none"}, "dataset.normalize: unknown key 'normalize'; valid: categories,"),
        ({"name": "tabel"}, "dataset.name: unknown dataset 'tabel' (did you mean 'table'?)"),
    ):
        assert message({**table, **change}).startswith(told), change


def test_the_rules_of_arrays_are_each_one_message() -> None:
    arrays = {"name": "arrays", "file": "a.npz", "task": "regression"}
    for change, told in (
        ({"target": "y"}, "dataset.target: unknown key 'target' (did you mean 'test'?)"),
        ({"group": "x"}, "dataset: group must be an array of its own, got 'x'"),
        ({"normalize": "loud"}, "dataset.normalize: must be none, signed, standard or {mean:"),
    ):
        assert message({**arrays, **change}).startswith(told), change


def test_a_column_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    file = write_table(tmp_path, ["p", "q"] * 20)
    table = {"name": "table", "file": str(file), "target": "y"}
    assert message({**table, "target": "Y"}).startswith(
        f"dataset.target: {file}: unknown column 'Y' (did you mean 'y'?); valid: a, b, c, y"
    )
    both = message({**table, "group": "g", "drop": ["a", "d"]})
    assert "dataset.group" in both
    assert "dataset.drop" in both
    assert "no column is left as input" in message({**table, "drop": ["a", "b", "c"]})


def test_y_that_is_meant_as_classes_is_no_regression(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((4, 2)), y=np.eye(4))
    told = message({"name": "arrays", "file": str(tmp_path / "data.npz")})
    assert "write y.argmax(1), or say task: regression" in told


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("gone.csv", None, "there is no such file"),
        ("data.xlsx", b"x", "the name must end in .csv, .tsv"),
        ("data.csv", b"", "can't be read: Empty CSV file"),
        ("data.csv", b"a,y\n", "has no rows"),
        ("data.csv", b"a,a,y\n1,2,3\n", "two columns have the name 'a'"),
        ("data.csv", b"a,y\n1,2\n1\n", "can't be read: CSV parse error: Row #3: Expected 2"),
        ("data.csv", b"a,y\n1,\xe9\n", "column 'y' is no UTF-8; save the file as UTF-8"),
        ("data.parquet", b"PAR1", "can't be read: Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_one_message(
    name: str, content: bytes | None, told: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    found = message({"name": "table", "file": str(file), "target": "y"})
    assert found.startswith(f"dataset.file: {file}: {told}")


def test_a_member_of_an_npz_file_that_is_no_array_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 2)))
    with zipfile.ZipFile(tmp_path / "data.npz", "a") as archive:
        archive.writestr("y.npy", b"no array")
    told = message({"name": "arrays", "file": str(tmp_path / "data.npz")})
    assert "'y' in it is no array, as np.savez writes it" in told


def test_a_file_that_holds_python_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((2, 2)), y=np.array([{}, {}]))
    told = message({"name": "arrays", "file": str(tmp_path / "data.npz")})
    assert "it holds Python objects; save texts as such" in told
