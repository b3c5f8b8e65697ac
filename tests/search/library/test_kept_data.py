"""Data that a function from Python holds: kept in the run and its bundle, and compared."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from analysis.record.events import Changed
from search import load, resume, run
from search.library.result import SearchResult
from spaces import InputError
from spaces.kept import values
from spaces.kept.data_files import data_in
from spaces.problems import RunError
from tests.support.invariants import events_of
from tests.support.source import ROOT

IN_A_FRESH_PROCESS = """
import sys
sys.path.insert(0, sys.argv[1])
from _shoal import main

for words in (["train", "bundle", "--json", "-o", "again"], ["resume", "run", "--trials", "2"]):
    sys.argv = ["shoal", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code
"""


def searched(folder: Path, train: Any, **settings: Any) -> SearchResult:
    space = {"lr": {"low": 1e-3, "high": 1e-1, "log": True}}
    options = {"space": space, "metric": "val_loss", "trials": 3, "max_epochs": 3, "show": False}
    return run(train, folder=folder, engine="inline", **{**options, **settings})


def of_digits() -> Any:
    """A function that trains on arrays, in a dict, and on tensors, one in PyTorch's own order."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[:300, :, :, None] / 16).float().permute(0, 3, 1, 2)
    means, (first, last) = torch.zeros(1), (0, 200)

    def train(config: dict[str, Any], context: Any) -> Iterator[dict[str, float]]:
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        optimizer = torch.optim.Adam(model.parameters(), config["lr"])
        targets = torch.from_numpy(digits["target"][:300])
        if context.state is not None:
            model.load_state_dict(context.state)
        for _ in range(context.epoch, context.max_epochs):
            loss = nn.functional.cross_entropy(model(images[first:last]), targets[first:last])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                held = nn.functional.cross_entropy(model(images[last:] - means), targets[last:])
            context.save(model.state_dict())
            yield {"val_loss": held.item()}

    return train


def shifted_by(shift: Any) -> Any:
    def train(config: dict[str, Any], context: Any) -> dict[str, float]:
        return {"val_loss": float(shift.sum()) + config["lr"]}

    return train


def names_in(folder: Path) -> list[str]:
    """The data that a run has kept, without the digits of their hashes."""
    return sorted(file.name.rpartition("-")[0] for file in data_in(folder / "code"))


def test_a_bundle_and_a_run_go_on_elsewhere_with_the_data_of_a_function(tmp_path: Path) -> None:
    train = of_digits()
    found = searched(tmp_path / "run", train)
    digits = [f"digits.{part}" for part in ("data", "images", "target", "target_names")]
    assert names_in(found.path) == [*digits, "images", "means"]
    assert names_in(found.export(tmp_path / "bundle")) == names_in(found.path)
    shutil.copytree(found.path, tmp_path / "copy")
    there = tmp_path / "there"
    there.mkdir()
    for name in ("run", "bundle"):
        (tmp_path / name).rename(there / name)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, str(ROOT)],
        cwd=there,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    retrained, _ = json.JSONDecoder().raw_decode(done.stdout)
    assert retrained["difference"] == 0
    assert names_in(there / "again") == names_in(there / "run")
    here = resume(tmp_path / "copy", train, trials=2, show=False)
    assert not [*events_of(here.path, Changed)]
    columns = ["trial", "epoch", "value"]
    assert load(there / "run").curves[columns].equals(here.curves[columns])
    assert len(here.trials) == 5


def test_another_array_is_told_as_a_change(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", shifted_by(np.zeros(3)))
    (first,) = data_in(found.path / "code")
    resume(found.path, shifted_by(np.zeros(3)), trials=1, show=False)
    assert not [*events_of(found.path, Changed)]
    with pytest.raises(InputError, match=r"code given_data/shift-\w+\.npy: was SHA"):
        resume(found.path, shifted_by(np.ones(3)), trials=1, strict=True, show=False)
    assert data_in(found.path / "code") == {first}
    resume(found.path, shifted_by(np.ones(3)), trials=1, show=False)
    (change,) = events_of(found.path, Changed)
    assert {held.what.partition("-")[0] for held in change.differences} == {
        "code given_train.py",
        "code given_data/shift",
    }
    assert len(data_in(found.path / "code") - {first}) == 1  # beside that of the earlier source
    resume(found.path, shifted_by(np.full(3, 2.0)), trials=1, show=False)
    assert first not in data_in(found.path / "code")


def test_an_array_that_was_changed_on_the_disk_is_told(tmp_path: Path) -> None:
    found = searched(tmp_path / "run", shifted_by(torch.zeros(3)))
    (file,) = data_in(found.path / "code")
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match=f"code given_data/{file.name}: was SHA-256 .*, now SHA"):
        resume(found.path, trials=1, strict=True, show=False)


def test_data_that_is_not_kept_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(values, "MOST_BYTES", 2**20)
    with caplog.at_level(logging.INFO, "shoal"):
        found = searched(tmp_path / "run", shifted_by(np.zeros(2**20)))
    assert (
        "the run keeps the source of train, but not shift (of 8.0 MiB; at most 1.0 MiB of data are "
        "kept with a function); to go on with it, resume needs the function" in caplog.text
    )
    assert names_in(found.path) == []
    with pytest.raises(InputError, match=r"shift \(of 8.0 MiB.*: used by the code, but only in"):
        resume(found.path, trials=1, show=False)


def test_data_that_cannot_be_written_ends_it_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RunError, match=r"can't keep train: .*/code/.* No space left on device"):
        searched(tmp_path / "run", shifted_by(np.zeros(3)))
    assert not (tmp_path / "run").exists()
