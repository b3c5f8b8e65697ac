"""A run from elsewhere may hold links that lead out of it: nothing is written or deleted there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder
from analysis.record.journal import Journal, read_journal
from analysis.views.tensorboard import best_view
from search.cli.main import main
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from spaces.links import unlinked
from spaces.problems import InputError
from tests.support import damage, examples
from trainables.checkpoints.checkpoints import Checkpoints, StorageError

pytestmark = pytest.mark.edits_journals

FIXED = ["lock", "journal.jsonl", "optuna.log", "experiment.yaml"]
FOLDERS = ["tensorboard", "logs", "checkpoints", "logs/reruns", "checkpoints/reruns"]
COMMANDS = ["rebuild", "clean", "resume", "confirm", "audit"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints, and with optuna.log and tensorboard/."""
    run = damage.make_runs(tmp_path_factory.mktemp("made"))[0]
    assert main(["rebuild", str(run)]) == 0
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of the user's, with files of names that a run has, too."""
    folder = tmp_path / "mine"
    for name in ("a.txt", "epoch-000001.pt", "0/epoch-000001.pt", "events.out.tfevents.1"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")
    return folder


def held(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def linked(place: Path, target: Path) -> None:
    """Put a link to a file or folder in the place of what is there."""
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FIXED)
def test_a_file_that_is_a_link_stops_every_command_that_writes(
    run: Path, mine: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = mine / "a.txt"
    if name == "journal.jsonl":  # a whole one, elsewhere
        shutil.copy(run / name, target)
    linked(run / name, target)
    before = held(mine)
    assert main([command, str(run)]) == 2
    assert f"{name} is a link to {target}" in capsys.readouterr().err
    assert held(mine) == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_a_link_stops_every_command_that_writes(
    run: Path, mine: Path, name: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    linked(run / name, mine)
    before = held(mine)
    assert main([command, str(run)]) == 2
    assert f"{name} is a link to {mine}" in capsys.readouterr().err
    assert held(mine) == before


def test_a_link_to_what_is_not_there_is_one_too(run: Path, tmp_path: Path) -> None:
    (run / "lock").unlink(missing_ok=True)
    (run / "lock").symlink_to(tmp_path / "new")
    assert main(["clean", str(run)]) == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("part", ["checkpoints", "checkpoints/reruns"])
def test_clean_deletes_nothing_behind_a_trials_folder(run: Path, mine: Path, part: str) -> None:
    linked(run / part / "0", mine / "0")
    assert main(["clean", str(run), "--top", "1"]) in (0, 1)
    with pytest.raises(StorageError, match="0 is a link to"):
        Checkpoints(str(run / part), 0).delete()
    assert held(mine)["0/epoch-000001.pt"] == b"mine"


def test_no_checkpoint_is_saved_or_dropped_behind_a_link(tmp_path: Path, mine: Path) -> None:
    linked(tmp_path / "kept" / "0", mine / "0")
    checkpoints = Checkpoints(str(tmp_path / "kept"), 0)
    before = held(mine)
    for change in (lambda: checkpoints.save(2, {}), lambda: checkpoints.keep_last(0)):
        with pytest.raises(StorageError, match="is a link to"):
            change()
    assert held(mine) == before


def test_a_checkpoint_that_is_a_link_is_not_written_through(tmp_path: Path, mine: Path) -> None:
    linked(tmp_path / "kept" / "0" / "epoch-000003.pt", mine / "a.txt")
    with pytest.raises(StorageError, match=r"epoch-000003\.pt is a link to"):
        Checkpoints(str(tmp_path / "kept"), 0).save(3, {})
    assert held(mine)["a.txt"] == b"mine"


def test_a_link_among_the_runs_of_tensorboard_is_removed_itself(run: Path, mine: Path) -> None:
    linked(run / "tensorboard" / "0", mine)
    before = held(mine)
    assert main(["rebuild", str(run)]) == 0
    assert held(mine) == before
    assert not (run / "tensorboard" / "0").is_symlink()


def test_a_report_takes_the_place_of_a_link(run: Path, mine: Path) -> None:
    linked(run / "report.html", mine / "a.txt")
    assert main(["report", str(run)]) == 0
    assert held(mine)["a.txt"] == b"mine"
    assert (run / "report.html").stat().st_size > 1000


def test_a_view_for_tensorboard_is_not_made_behind_a_link(run: Path, mine: Path) -> None:
    linked(run / "tensorboard-top2", mine)
    before = held(mine)
    assert main(["tensorboard", str(run), "--top", "2"]) == 2
    assert held(mine) == before


@pytest.mark.parametrize("name", ["0", "40"])  # one that is shown, one that is not
def test_nothing_in_a_view_for_tensorboard_is_behind_a_link(
    run: Path, mine: Path, name: str
) -> None:
    best_view(run / "tensorboard", [0, 1], run / "tensorboard-top2")
    linked(run / "tensorboard-top2" / name, mine)
    before = held(mine)
    with pytest.raises(InputError, match=f"{name} is a link to"):
        best_view(run / "tensorboard", [0, 1], run / "tensorboard-top2")
    assert held(mine) == before
    assert not any(path.is_symlink() for path in mine.iterdir())


def test_no_trial_writes_on_in_a_log_that_is_a_link(tmp_path: Path, mine: Path) -> None:
    linked(tmp_path / "logs" / "0.txt", mine / "a.txt")
    coordinator = examples.coordinator(tmp_path)
    trial = coordinator.next_trial()
    assert trial is not None
    dispatcher = Dispatcher(coordinator, RunFolder(tmp_path), Silent())
    with pytest.raises(InputError, match=r"0\.txt is a link to"), dispatcher.working():
        raise AssertionError("a trial was started")
    with pytest.raises(InputError, match=r"0\.txt is a link to"):
        dispatcher.fail(0, "lost")
    assert held(mine)["a.txt"] == b"mine"


def test_the_folder_of_a_run_may_be_a_link_itself(run: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert main(["rebuild", str(tmp_path / "latest")]) == 0
    assert unlinked(tmp_path / "latest" / "lock", tmp_path / "latest").exists()


def test_a_journal_is_not_written_on_through_a_link(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "journal.jsonl", tmp_path / "elsewhere")
    (run / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    assert read_journal(run / "journal.jsonl")
    with pytest.raises(InputError, match=r"journal\.jsonl is a link to"):
        Journal(run / "journal.jsonl")
