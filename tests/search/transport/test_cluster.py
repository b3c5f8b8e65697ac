"""Beginning and going on: names that nobody else has, checkpoints that are gone."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from search.cli.main import main
from search.rerun.audit import Audit
from search.rerun.rerunner import Rerunner
from search.session import _check_name, _try_storage, new_folder
from search.signals import made as made_folder
from search.signals import taken
from search.transport.cluster import Slots
from search.transport.link import Link
from spaces.experiment import Experiment
from spaces.problems import InputError, RunError
from tests.support import examples
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.worker.tune_worker import Origin


class Told:
    """Keeps what a person would be told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def update(self) -> None:
        pass

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_searches_that_start_together_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: taken(tmp_path / "runs", "made-1"), range(8)))
    assert len(set(folders)) == 8
    assert {folder.name for folder in folders} == {"made-1", *(f"made-1-{n}" for n in range(2, 9))}


def test_a_new_run_takes_its_folder_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = examples.experiment()
    folders = [new_folder(experiment, None).path for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and not any(folder.iterdir()) for folder in folders)


def test_a_folder_that_is_removed_meanwhile_hides_no_error(tmp_path: Path) -> None:
    def search() -> NoReturn:
        with made_folder(tmp_path / "run"):
            (tmp_path / "run").rmdir()
            raise RunError("the journal was removed")

    with pytest.raises(RunError, match="was removed"):
        search()


@pytest.mark.edits_journals
def test_a_start_that_failed_at_once_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    experiment, run = examples.experiment(), tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("lock", "experiment.yaml"):
        (run / name).write_text("left")
    with pytest.raises(InputError, match="is not an empty folder"):  # they may be the user's
        new_folder(experiment, run)
    (run / "journal.jsonl").touch()
    assert new_folder(experiment, run).path == run
    (run / "notes.txt").touch()
    with pytest.raises(InputError, match="is not an empty folder"):
        new_folder(experiment, run)


@pytest.mark.parametrize("name", ["runs", "runs/made-1"])
def test_a_file_in_the_place_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    if name == "runs":
        with pytest.raises(InputError, match=r"--run: .*runs is no folder"):
            taken(tmp_path / "runs", "made-1")
    else:
        assert taken(tmp_path / "runs", "made-1").name == "made-1-2"


def test_the_folder_of_a_search_that_does_not_begin_is_taken_away(tmp_path: Path) -> None:
    folder = taken(tmp_path / "runs", "made-1")
    with pytest.raises(InputError, match="no data"), made_folder(folder):
        raise InputError("no data")
    assert not folder.exists()


def searched(folder: Path, storage: Path | None) -> tuple[Experiment, RunFolder]:
    """A run that was interrupted, whose running trials have checkpoints."""
    changes = {} if storage is None else {"storage": str(storage)}
    coordinator = examples.coordinator(folder, **changes)
    examples.run_all(coordinator, reports=30)
    run = RunFolder(folder)
    place = run.checkpoints(coordinator.experiment.storage)
    for trial in coordinator.trials:
        path = Checkpoints(place, trial.number).save(trial.epoch, {})
        coordinator.checkpoint(trial.number, trial.epoch, path)
    coordinator.close("interrupted")
    return coordinator.experiment, run


@pytest.mark.parametrize("has_storage", [True, False])
def test_trials_whose_checkpoints_are_gone_start_over_and_it_is_told(
    tmp_path: Path, has_storage: bool
) -> None:
    (tmp_path / "run").mkdir()
    storage = tmp_path / "kept" if has_storage else None
    experiment, run = searched(tmp_path / "run", storage)
    shutil.rmtree(storage or tmp_path / "run" / "checkpoints")
    _check_name(experiment, run, is_empty=_try_storage(experiment, run))
    coordinator = examples.resumed(run.path, storage=experiment.storage)
    told = Told()
    link = Link(coordinator, run, Slots(1, 0), told)
    trial = coordinator.next_trial()
    assert trial is not None
    assert trial.epoch > 0
    assert link.assignment(trial).reported == trial.epoch
    assert told.notes == [
        f"trial {trial.number} starts over: its checkpoints, of {trial.epoch} epochs, are gone"
    ]


def test_nothing_is_told_where_the_checkpoints_are_there(tmp_path: Path) -> None:
    experiment, run = searched(tmp_path, None)
    coordinator, told = examples.resumed(tmp_path), Told()
    link = Link(coordinator, run, Slots(1, 0), told)
    while (trial := coordinator.next_trial()) is not None and trial.epoch:
        link.assignment(trial)
    assert told.notes == []
    assert experiment.storage is None


def test_a_run_that_was_renamed_is_told_the_name_of_its_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    experiment, run = searched(tmp_path / "run", tmp_path / "kept")
    run.path.rename(tmp_path / "other")
    moved = RunFolder(tmp_path / "other")
    with pytest.raises(InputError, match=f"are in {tmp_path}/kept/run; give the run's folder back"):
        _check_name(experiment, moved, is_empty=_try_storage(experiment, moved))


@pytest.mark.parametrize("is_gone", [True, False])
def test_an_audit_of_a_trial_without_checkpoints_begins_at_its_start(
    tmp_path: Path, is_gone: bool
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close("trials")
    stopped = next(trial for trial in coordinator.trials if trial.state == "stopped")
    run = RunFolder(tmp_path)
    if not is_gone:
        Checkpoints(run.checkpoints(None), stopped.number).save(stopped.epoch, {})
    journal = Journal(run.journal_file)
    plan = Audit((stopped.number,), size=1)
    rerunner, told = Rerunner(coordinator.experiment, coordinator.trials, journal, plan), Told()
    rerun = rerunner.next_trial()
    assert rerun is not None
    origin = Link(rerunner, run.of_reruns, Slots(1, 0), told).assignment(rerun).origin
    assert isinstance(origin, Origin)
    assert [report.epoch for report in origin.reports] == list(range(1, stopped.epoch + 1))
    assert origin.reports[-1].metrics == stopped.reports[-1].metrics
    over = f"trial {stopped.number} starts over: its checkpoints, of {stopped.epoch} epochs, are"
    assert told.notes == ([f"{over} gone"] if is_gone else [])
    journal.close()


COMMANDS = [
    ["audit"],
    ["confirm"],
    ["resume"],
    ["resume", "--trials", "3"],
    ["status"],
    ["best"],
    ["report"],
    ["rebuild"],
    ["replay"],
    ["clean"],
    ["tensorboard", "--top", "2"],
    ["export", "-o", "new"],
    ["table", "-o", "new.csv"],
    ["compare", "--by", "lr", "-o", "new.png"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", ["empty", "a project", "not there"])
def test_a_folder_that_is_no_run_is_left_as_it_is(
    command: list[str],
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    if kind != "not there":
        folder.mkdir()
    if kind == "a project":
        (folder / "code.py").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert main([command[0], str(folder), *command[1:]]) == 2
    assert "is no run folder: it has no journal.jsonl" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
