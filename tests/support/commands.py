"""Commands on small experiments, in this process: their files, and what they say of a mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from search.cli.main import main
from tests.support import examples


def file(folder: Path, **changes: object) -> str:
    """A small experiment file with some sections replaced."""
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump({**examples.experiment().plain(), **changes}))
    return str(path)


def message(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that must fail with exit code 2 says."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.out == ""
    return captured.err


def bundle_of(folder: Path, **changes: Any) -> Path:
    """A bundle trained in this process."""
    spec = {
        "name": "pictures",
        "model": {"family": "mlp", "hidden": [64]},
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 1},
        "resources": {"gpus": 0},
    }
    experiment = folder / "pictures.yaml"
    experiment.write_text(yaml.safe_dump({**spec, **changes}))
    bundle = folder / "bundle"
    assert main(["train", str(experiment), "-o", str(bundle)]) == 0
    return bundle
