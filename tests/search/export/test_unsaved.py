"""Own code that saves nothing: the search says so, and its bundle holds no empty weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search import run
from search.cli.main import main
from search.export.unsaved import unsaved_note

CODE = """
import torch

def nothing(config, context):
    yield {"val_loss": config["x"]}

def returns(config, context):
    return {"val_loss": config["x"]}

def numbers(config, context):
    context.save({"epoch": 1})
    yield {"val_loss": config["x"]}

def tensors(config, context):
    context.save({"model": {"weight": torch.ones(2)}})
    yield {"val_loss": config["x"]}

def files(config, context):
    (context.folder / "model.txt").write_text("weights")
    context.save(files=["model.txt"])
    yield {"val_loss": config["x"]}
"""


def searched(folder: Path, function: str) -> Any:
    (folder / "mine.py").write_text(CODE)
    data = {
        "name": "mine",
        "trainable": f"{folder}/mine.py:{function}",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "metric": "val_loss",
        "budget": {"trials": 1},
    }
    return run(data, folder=folder / "run", engine="inline", show=False)


@pytest.mark.parametrize("function", ["nothing", "returns", "numbers"])
def test_a_bundle_without_weights_says_why_and_has_no_empty_file(
    function: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched(tmp_path, function)
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "model")]) == 0
    told = capsys.readouterr()
    assert "model: settings and code, without weights, with val_loss" in told.out
    assert "note: your code saved no tensors (context.save) at epoch 1" in told.err
    assert not (tmp_path / "model" / "model.safetensors").exists()
    card = (tmp_path / "model" / "README.md").read_text()
    assert "There are no weights: your code saved no tensors (context.save) at epoch 1." in card
    assert all(f"model.{ending}" not in card for ending in ("safetensors", "load_state_dict"))
    assert "These weights" not in card


def test_a_bundle_with_weights_has_them(tmp_path: Path) -> None:
    found = searched(tmp_path, "tensors")
    found.export(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert "## These weights" in (tmp_path / "model" / "README.md").read_text()


def test_an_export_from_python_notes_that_there_are_no_weights(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    searched(tmp_path, "nothing").export(tmp_path / "model")
    assert "your code saved no tensors (context.save) at epoch 1, so the" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("function", "is_noted"),
    [("nothing", True), ("returns", True), ("numbers", False), ("files", False)],
)
def test_a_search_notes_at_its_end_that_nothing_is_saved(
    function: str, is_noted: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    searched(tmp_path, function)
    note = unsaved_note(tmp_path / "run")
    assert (note is not None) is is_noted
    assert sum("your code saves nothing" in message for message in caplog.messages) == is_noted
