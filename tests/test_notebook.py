"""docs/notebook.ipynb, run as a reader would run it."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

from search import load
from tests.support.source import ROOT


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    said = "".join(
        str(output.get("text", output.get("data", "")))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    (run,) = (tmp_path / "runs").iterdir()
    assert load(run).state == "finished"
    assert "20 of 20" in said  # the live view
    assert "image/png" in said
    assert "Confirmed: 9" in said
    assert "accuracy on the test split: 0.9" in said
    assert (run / "bundle" / "model.safetensors").is_file()
    kept = (run / "bundle" / "code" / "given_train.py").read_text()
    assert "ImportError" not in kept
    assert "inputs = _kept_data('inputs-" in kept
    assert "Missing packages" not in said
    assert "IProgress" not in said
