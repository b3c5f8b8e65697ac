"""Tune's own files: gone at the end, and those of a killed process as the next one begins."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path

import pytest

from search.transport.on_ray.scratch import scratch
from tests.support.processes import python

HOLDS = """
import pathlib, sys, time
from search.transport.on_ray.scratch import scratch

with scratch() as held:
    below = pathlib.Path(sys.argv[1]) / "artifacts" / "now" / held.name
    (below / "driver_artifacts" / "1").mkdir(parents=True)
    held.note(below)
    print(held.path, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_nothing_is_left_at_the_end(root: Path, tmp_path: Path) -> None:
    with scratch() as held:
        below = tmp_path / "session" / "artifacts" / "now" / held.name
        (below / "driver_artifacts" / "1").mkdir(parents=True)
        held.note(below)
        assert held.path.parent == root
    assert not list(root.iterdir())
    assert not list((tmp_path / "session" / "artifacts").iterdir())


def test_nothing_is_left_by_an_error(root: Path) -> None:
    with pytest.raises(RuntimeError, match="lost"), scratch():
        raise RuntimeError("lost")
    assert not list(root.iterdir())


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(
    root: Path, tmp_path: Path
) -> None:
    processes = [python("-c", HOLDS, str(tmp_path / name)) for name in ("killed", "living")]
    try:
        assert all(process.stdout is not None for process in processes)
        killed, living = (Path(p.stdout.readline().strip()) for p in processes if p.stdout)
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert killed.is_dir()
        with scratch() as held:
            assert set(root.iterdir()) == {living, held.path}
        assert not list((tmp_path / "killed" / "artifacts").iterdir())
        assert (tmp_path / "living/artifacts/now" / living.name / "driver_artifacts/1").is_dir()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("note", ["/", ".", "/tmp", "a/artifacts/now/other", "\0", ""])
def test_only_a_folder_of_the_same_name_below_artifacts_is_removed(
    root: Path, tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a/artifacts/now/other").mkdir(parents=True)
    left = root / "shoal-left"
    left.mkdir()
    (left / "held").touch()
    (left / "elsewhere").write_text(note)
    with scratch():
        assert not left.exists()
    assert (tmp_path / "a/artifacts/now/other").is_dir()


def test_folders_of_others_are_left_alone(root: Path, tmp_path: Path) -> None:
    (root / "shoal-notes").mkdir()  # somebody's own
    (root / "shoal-file").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "held").touch()
    (root / "shoal-link").symlink_to(tmp_path / "mine")
    before = set(root.iterdir())
    with scratch():
        pass
    assert set(root.iterdir()) == before
    assert (tmp_path / "mine" / "held").exists()
