"""Checkpoints on disk: the newest valid one counts, and none can run code."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces.problems import InputError, without_keys
from trainables.checkpoints.checkpoints import Checkpoints, StorageError


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def saved(root: Path | str, *epochs: int) -> Checkpoints:
    checkpoints = Checkpoints(str(root), 7)
    for epoch in epochs:
        checkpoints.save(epoch, {"epoch": epoch, "weight": torch.full((3,), float(epoch))})
    return checkpoints


def epoch_of(checkpoints: Checkpoints) -> int | None:
    state = checkpoints.load()
    return None if state is None else state["epoch"]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    state = saved(tmp_path, 4).load()
    assert state is not None
    assert state["epoch"] == 4
    assert torch.equal(state["weight"], torch.full((3,), 4.0))


def test_there_is_nothing_to_load_before_the_first_save(tmp_path: Path) -> None:
    assert saved(tmp_path).load() is None


def test_trials_have_folders_of_their_own(tmp_path: Path) -> None:
    saved(tmp_path, 1)
    assert Checkpoints(str(tmp_path), 8).load() is None


def test_the_newest_counts_and_the_last_two_are_kept(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 8, 9, 10)
    assert epoch_of(checkpoints) == 10
    names = sorted(file.name for file in (tmp_path / "7").iterdir())
    assert names == ["epoch-000009.pt", "epoch-000010.pt"]


def test_an_ended_trial_keeps_one(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    checkpoints.keep_last(1)
    assert [file.name for file in (tmp_path / "7").iterdir()] == ["epoch-000002.pt"]


@pytest.mark.parametrize("kept_bytes", [0, 10, 32, 200])
def test_a_truncated_newest_falls_back_to_the_one_before(tmp_path: Path, kept_bytes: int) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    newest = tmp_path / "7" / "epoch-000002.pt"
    newest.write_bytes(newest.read_bytes()[:kept_bytes])
    assert epoch_of(checkpoints) == 1


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    newest = tmp_path / "7" / "epoch-000002.pt"
    content = bytearray(newest.read_bytes())
    content[-300] ^= 1
    newest.write_bytes(content)
    assert epoch_of(checkpoints) == 1


def test_nothing_is_loaded_when_all_are_damaged(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    for file in (tmp_path / "7").iterdir():
        file.write_bytes(b"damaged")
    assert checkpoints.load() is None


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1)
    (tmp_path / "7" / "notes.txt").write_text("mine")
    checkpoints.keep_last(0)
    assert [file.name for file in (tmp_path / "7").iterdir()] == ["notes.txt"]


def test_a_uri_names_a_place_as_a_folder_does(tmp_path: Path) -> None:
    saved(f"file://{tmp_path}", 5)
    assert epoch_of(Checkpoints(str(tmp_path), 7)) == 5


@pytest.mark.parametrize("pickler", ["pickle", "torch"])
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, pickler: str) -> None:
    bomb, buffer = {"epoch": Bomb(tmp_path / "exploded")}, io.BytesIO()
    if pickler == "torch":
        torch.save(bomb, buffer)
    else:
        pickle.dump(bomb, buffer, protocol=2)
    payload = buffer.getvalue()
    (tmp_path / "7").mkdir()
    file = tmp_path / "7" / "epoch-000001.pt"
    file.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert Checkpoints(str(tmp_path), 7).load() is None
    assert not (tmp_path / "exploded").exists()


def test_a_training_that_had_to_start_again_keeps_what_it_saves_now(tmp_path: Path) -> None:
    """Both newest files are damaged: those of earlier epochs count again from then on."""
    checkpoints = Checkpoints(str(tmp_path), 0)
    for epoch in (5, 6):
        checkpoints.save(epoch, {"epoch": epoch})
        (tmp_path / "0" / f"epoch-{epoch:06d}.pt").write_bytes(b"damaged")
    assert checkpoints.load() is None
    checkpoints.save(1, {"epoch": 1})
    assert checkpoints.load() == {"epoch": 1}
    checkpoints.save(2, {"epoch": 2})
    assert [path.name for path in sorted((tmp_path / "0").iterdir())] == [
        "epoch-000001.pt",
        "epoch-000002.pt",
    ]


def test_a_folder_in_the_place_of_a_checkpoint_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), 0)
    checkpoints.save(1, {"epoch": 1})
    (tmp_path / "0" / "epoch-000002.pt").mkdir()
    assert checkpoints.load() == {"epoch": 1}


@pytest.mark.parametrize(
    ("root", "shown"),
    [
        ("/folder", "/folder"),
        ("s3://bucket/path?region=x", "s3://bucket/path"),
        ("s3://KEY:ab?c@bucket/path?x=SECRET", "s3://bucket/path"),
        ("s3://KEY:ab%2Fc@bucket", "s3://bucket"),
    ],
)
def test_a_storage_is_shown_without_its_keys(root: str, shown: str) -> None:
    assert without_keys(root) == shown


def test_a_uri_that_cannot_be_read_is_told_without_its_keys() -> None:
    with pytest.raises(InputError) as told:
        Checkpoints("s3://KEY:abc/SECRET@bucket/x y", 0)
    assert "is no URI that can be read" in str(told.value)
    assert "SECRET" not in str(told.value)


def test_a_storage_that_does_not_answer_is_no_fault_of_the_trial() -> None:
    uri = "s3://KEY:SECRET@bucket/x?scheme=http&endpoint_override=127.0.0.1:9&region=us-east-1"
    with pytest.raises(StorageError, match="storage s3://bucket/x can't be read: "):
        Checkpoints(uri, 0).load()
