"""The folder that a run works in, and its own code: named first, found again where it moved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Moved, Started
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.journal import Journal, read_journal
from search.cli.console import ERR
from search.cli.main import main
from search.control.coordinator import Coordinator
from search.provenance import record_changes, surroundings_of
from search.run_context import run_context
from spaces.files import load_experiment
from spaces.imports import parse_reference
from spaces.problems import InputError
from spaces.project import project_at
from tests.support import examples

pytestmark = pytest.mark.edits_journals  # and code that is found in its own folder only

CODE = """
import pathlib
gain = float(pathlib.Path("gain.txt").read_text())  # relative to where the search began

def train(config, context):
    yield {"score": config["x"] * gain}

def space(trial):
    trial.suggest_float("x", 0.0, gain)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in ``a/project`` with a run in it; the working folder is another, ``b``."""
    folder = tmp_path / "a" / "project"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "own.py").write_text(CODE)
    (folder / "gain.txt").write_text("2.0")
    (folder / "run").mkdir()
    monkeypatch.chdir(folder)
    searched(folder / "run", f"{folder}/src/own.py")
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    return folder


def searched(run: Path, code: str, **changes: Any) -> None:
    """A run that was interrupted after three reports."""
    data = {"trainable": f"{code}:train", "space": f"{code}:space", "metric": {"name": "score"}}
    file = run / "file.yaml"
    file.write_text("name: own\nbudget: {trials: 12}\nscheduler: {max_epochs: 9}\n")
    sets = [f"{name}={value}" for name, value in data.items() if isinstance(value, str)]
    experiment = load_experiment(file, [*sets, "metric.name=score"])
    with_journal = Coordinator(experiment, Journal(run / "journal.jsonl"))
    here = surroundings_of(experiment, None)
    with_journal.start(Started(spec=experiment.plain(), directory=os.getcwd(), **dict(here)))
    trial = with_journal.next_trial()
    assert trial is not None
    for epoch in (1, 2, 3):
        with_journal.report(trial.number, epoch, {"score": 0.5})
    with_journal.close("interrupted")


def go_on(run: Path, code: Path | None = None) -> str:
    """Resume without Ray, as far as to a new trial; returns the folder that this works in."""
    with run_context(RunFolder(run), ERR.print, code) as (folder, start, experiment, moved):
        coordinator = Coordinator(experiment, Journal(folder.journal_file))
        coordinator.resume()
        record_changes(coordinator, [], start.surroundings, moved)
        assert coordinator.next_trial() is not None
        assert coordinator.next_trial() is not None  # this one is drawn by the user's function
        coordinator.close("interrupted")
        return os.getcwd()


def moves(run: Path) -> list[Moved]:
    events = read_journal(run / "journal.jsonl")
    return [event for event in events if isinstance(event, Moved)]


def test_a_run_works_in_the_folder_where_it_began(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = os.getcwd()
    assert go_on(Path("../a/project/run")) == str(project)
    assert os.getcwd() == here
    told = capsys.readouterr().err
    assert told == f"runs your code: {project}/src/own.py, in {project}\n"


def test_a_folder_that_is_gone_is_told(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b" / "gain.txt").write_text("2.0")
    text = (project / "run" / "journal.jsonl").read_text()
    gone = text.replace(f'"directory":"{project}"', f'"directory":"{project}/gone"')
    (project / "run" / "journal.jsonl").write_text(gone)
    examples.unchain(project / "run" / "journal.jsonl")
    assert go_on(project / "run") == str(tmp_path / "b")
    told = capsys.readouterr().err
    assert f"{project}/gone, where the search began, is gone; your code runs in" in told


def test_code_that_is_not_there_says_how_to_name_its_new_place(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "src" / "own.py").unlink()
    for command in ("resume", "confirm", "audit"):
        assert main([command, str(project / "run")]) == 2
        told = capsys.readouterr().err
        assert f"trainable: there is no file {project}/src/own.py; if it has moved: --code" in told


@pytest.mark.parametrize(
    "place", ["moved/project", "moved/project/src", "moved/project/src/own.py"]
)
def test_a_project_that_moved_is_found_again_by_later_commands_too(
    project: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moved").mkdir()
    moved = project.rename(tmp_path / "moved" / "project")
    assert go_on(moved / "run", tmp_path / place) == str(moved)
    assert go_on(moved / "run") == str(moved)
    assert go_on(moved / "run", tmp_path / place) == str(moved)
    (event,) = moves(moved / "run")
    assert event.trainable == f"{moved}/src/own.py:train"
    assert event.space == f"{moved}/src/own.py:space"
    experiment = experiment_of(RunFolder(moved / "run"))
    assert (experiment.trainable, experiment.space) == (event.trainable, event.space)
    assert main(["replay", str(moved / "run"), "--proposals"]) == 0
    assert f"runs your code: {moved}/src/own.py" in capsys.readouterr().err


def test_code_that_moved_alone_still_runs_where_the_search_began(
    project: Path, tmp_path: Path
) -> None:
    (project / "src" / "own.py").rename(tmp_path / "b" / "renamed.py")
    assert go_on(project / "run", tmp_path / "b" / "renamed.py") == str(project)
    (event,) = moves(project / "run")
    assert event.trainable == f"{tmp_path}/b/renamed.py:train"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("nowhere", "/b/nowhere is neither"),
        ("text.txt", "--code: must be a .py file or a folder, and /"),
        ("empty", "--code: there is no own.py in "),
        ("", "--code: there is no own.py in "),
        ("other.py", "other.py has no function 'train'"),
        ("~nobody-of-that-name/x", "is neither"),
    ],
)
def test_a_place_without_the_code_is_refused(
    project: Path, tmp_path: Path, place: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b" / "text.txt").write_text("")
    (tmp_path / "b" / "empty").mkdir()
    (tmp_path / "b" / "other.py").write_text("x = 1\n")
    before = (project / "run" / "journal.jsonl").read_bytes()
    assert main(["resume", str(project / "run"), "--code", place]) == 2
    assert told in capsys.readouterr().err
    assert (project / "run" / "journal.jsonl").read_bytes() == before


def test_a_run_of_built_in_models_has_no_code_that_could_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples.coordinator(tmp_path).close("interrupted")
    assert main(["resume", str(tmp_path), "--code", str(tmp_path)]) == 2
    assert "--code: the run has no code of your own" in capsys.readouterr().err


def test_a_run_from_elsewhere_is_called_that(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project / "run" / "journal.jsonl").read_text()
    host = experiment_host(project / "run")
    other = text.replace(f'"host":"{host}"', '"host":"\\u001b[2Jother"')
    (project / "run" / "journal.jsonl").write_text(other)
    examples.unchain(project / "run" / "journal.jsonl")
    go_on(project / "run")
    assert "(the run was begun on host \\x1b[2Jother)" in capsys.readouterr().err
    (project / "run" / "journal.jsonl").write_text(text)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    go_on(project / "run")
    assert "(its folder belongs to another user)" in capsys.readouterr().err


def experiment_host(run: Path) -> str:
    start = read_journal(run / "journal.jsonl")[0]
    assert isinstance(start, Started)
    return start.host


def test_the_code_is_named_before_it_is_imported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = "import sys\nprint('imported', file=sys.stderr)\n"
    (project / "src" / "own.py").write_text(marker + CODE)
    project_at(project / "src").forget(
        parse_reference(f"{project}/src/own.py:train")
    )  # as in a process of its own
    go_on(project / "run")
    told = capsys.readouterr().err
    assert told.index("runs your code: ") < told.index("imported")


def test_a_bundles_code_is_named_before_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support import damage

    bundle = damage.make_bundles(tmp_path)[4]
    (bundle / "code" / "own.py").write_text(
        "import sys\nprint('imported', file=sys.stderr)\n" + damage.OWN_CODE
    )
    assert main(["train", str(bundle)]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"runs your code: {bundle}/code/own.py\n")
    assert "imported" in told


def test_a_journal_may_name_a_folder_that_is_none(project: Path) -> None:
    with (
        pytest.raises(InputError, match="no run folder"),
        run_context(RunFolder(project), ERR.print),
    ):
        pass
