"""Beginning and going on: names that nobody else has, checkpoints that are gone."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from analysis.record.folder import RunFolder
from search.control.view import Silent
from search.folders import free_folder, new_folder, removed_if_empty
from search.lifecycle import resume_search, start_search
from search.session import Host
from spaces.problems import InputError, RunError
from tests.support import examples, inline

SAVES_EACH_EPOCH = """
def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        total += config["x"]
        context.save(total)
        yield {"score": total}
"""


def test_searches_that_start_together_have_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: free_folder(tmp_path / "runs", "made-1"), range(8)))
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
        with removed_if_empty(tmp_path / "run"):
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
    for first in (b"", b'{"event":"experiment","ti'):  # all that a power failure may leave
        (run / "journal.jsonl").write_bytes(first)
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
            free_folder(tmp_path / "runs", "made-1")
    else:
        assert free_folder(tmp_path / "runs", "made-1").name == "made-1-2"


def test_the_folder_of_a_search_that_does_not_begin_is_taken_away(tmp_path: Path) -> None:
    folder = free_folder(tmp_path / "runs", "made-1")
    with pytest.raises(InputError, match="no data"), removed_if_empty(folder):
        raise InputError("no data")
    assert not folder.exists()


def own_code_run(folder: Path, storage: Path | None = None) -> RunFolder:
    """A run of own code that was interrupted in its fourth epoch."""
    (folder / "own.py").write_text(SAVES_EACH_EPOCH)
    changes = {} if storage is None else {"storage": str(storage)}
    experiment = examples.own_code_experiment(
        folder, scheduler={"max_epochs": 5}, budget={"trials": 2}, **changes
    )
    run = RunFolder(folder / "run")
    inline.interrupted(experiment, run, steps=4)
    return run


@pytest.mark.parametrize("has_storage", [True, False])
def test_trials_whose_checkpoints_are_gone_start_over_and_it_is_said(
    tmp_path: Path, has_storage: bool
) -> None:
    storage = tmp_path / "kept" if has_storage else None
    run = own_code_run(tmp_path, storage)
    shutil.rmtree(storage or run.path / "checkpoints")
    view = Silent()
    coordinator = inline.resumed(run, view)
    assert "trial 0: starts over: no checkpoint of its 4 epochs can be used" in view.notes
    assert coordinator.trials.counts()["completed"] == 2
    assert [report.epoch for report in coordinator.trials.by_number[0].reports] == [1, 2, 3, 4, 5]


def test_trials_whose_checkpoints_are_there_go_on_from_them(tmp_path: Path) -> None:
    run, view = own_code_run(tmp_path), Silent()
    coordinator = inline.resumed(run, view)
    assert [note for note in view.notes if "starts over" in note] == []
    assert [report.metrics["score"] for report in coordinator.trials.by_number[0].reports] == [
        pytest.approx(epoch * coordinator.trials.by_number[0].params["x"])  # type: ignore[operator]
        for epoch in range(1, 6)
    ]


def test_a_run_that_was_renamed_is_told_the_name_of_its_checkpoints(tmp_path: Path) -> None:
    run = own_code_run(tmp_path, tmp_path / "kept")
    run.path.rename(tmp_path / "other")
    with pytest.raises(InputError, match=f"are in {tmp_path}/kept/run; give the run's folder back"):
        inline.resumed(RunFolder(tmp_path / "other"))


def test_a_transport_that_cannot_start_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SAVES_EACH_EPOCH)
    experiment = examples.own_code_experiment(tmp_path, isolate=True)
    with pytest.raises(InputError, match="isolate: needs processes beside this one"):
        start_search(experiment, RunFolder(tmp_path / "run"), inline.host())
    assert not (tmp_path / "run").exists()


def test_a_resume_whose_transport_cannot_start_changes_nothing(tmp_path: Path) -> None:
    run = own_code_run(tmp_path)
    before = run.journal_file.read_bytes()
    host = Host(address="localhost:1", engine="inline")
    with pytest.raises(InputError, match="engine: inline uses no cluster"):
        resume_search(run, trials=5, host=host)
    assert run.journal_file.read_bytes() == before
