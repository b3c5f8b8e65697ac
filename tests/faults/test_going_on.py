"""A run is gone on with from another folder, with a file missing, with other code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analysis.record.events import Changed, Finished, Rerun
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.cli.main import main
from tests.support.processes import code_file

pytestmark = pytest.mark.edits_journals  # and code that is found in its own folder only

CODE = """
import os
import pathlib
import helper

def train(config, context):
    gain = float(pathlib.Path("data/gain.txt").read_text())
    for epoch in range(context.epoch, context.max_epochs):
        context.save(epoch)
        yield {"score": config["step"] * gain, "where": len(os.getcwd())}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished search of 3 trials, whose code reads ``data/gain.txt``."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "data").mkdir()
    (folder / "data" / "gain.txt").write_text("2.0")
    (folder / "helper.py").write_text("x = 1\n")
    changes = {"scheduler": {"max_epochs": 2}, "engine": "inline"}
    file = code_file(folder, CODE, budget={"trials": 3}, **changes)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["search", file, "--run", "run"]) == 0
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failed(project: Path) -> int:
    """How many trials or reruns the journal calls failed."""
    events = read_journal(project / "run" / "journal.jsonl")
    whats = [event.what if isinstance(event, Rerun) else event for event in events]
    return sum(isinstance(what, Finished) and what.state == "failed" for what in whats)


@pytest.mark.parametrize("engine", ["inline", pytest.param("tune", marks=pytest.mark.slow)])
def test_own_code_finds_its_files_from_any_folder(
    project: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "tune":
        request.getfixturevalue("local_ray")
    run = str(project / "run")
    assert main(["resume", run, "--trials", "2", "--engine", engine]) == 0
    assert failed(project) == 0
    assert list(Path.cwd().iterdir()) == []
    lines = RunFolder(project / "run").journal_file.read_text().splitlines()
    reports = [json.loads(line) for line in lines if '"event":"report"' in line]
    assert {int(report["metrics"]["where"]) for report in reports} == {len(str(project))}


def test_when_all_that_begins_fails_nothing_is_recorded(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = str(project / "run"), project / "data"
    data.rename(project / "away")
    resume, confirm = ["resume", run, "--trials", "3"], ["confirm", run, "--top", "1"]
    again = {"resume": resume, "confirm": [*confirm, "--seeds", "2"]}
    for command in again.values():
        capsys.readouterr()
        assert main(command) == 1
        told = capsys.readouterr().err
        assert told.count("No such file or directory: 'data/gain.txt'") == 1
        assert "none counts as tried (--keep-going counts them as failed, and searches on)" in told
        assert f"once that is mended, go on with: shoal {command[0]} {run}" in told
    assert failed(project) == 0
    (project / "away").rename(data)
    assert main(["resume", run]) == 0
    assert main(again["confirm"]) == 0
    assert failed(project) == 0


def test_code_that_changed_is_told_and_noted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = project / "run"
    (project / "helper.py").write_text("x = 2\n")
    for command in ("resume", "confirm", "export"):
        more = ["-o", "bundle"] if command == "export" else []
        assert main([command, str(run), "--strict", *more]) == 2
        assert "--strict: this is not as it was" in capsys.readouterr().err
    assert main(["confirm", str(run), "--top", "1", "--seeds", "2"]) == 0
    assert "  code helper.py: was SHA-256 " in capsys.readouterr().err
    changes = [e for e in read_journal(run / "journal.jsonl") if isinstance(e, Changed)]
    assert [[held.what for held in change.differences] for change in changes] == [
        ["code helper.py"]
    ]
    assert main(["export", str(run), "-o", "bundle"]) == 0
    assert "- since the training: code helper.py was" in Path("bundle/README.md").read_text()
    assert os.listdir("bundle")
