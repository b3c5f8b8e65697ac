"""Small checkpoints that claim much: they are passed over before any memory is taken."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from search.cli.main import main
from spaces.settings.model import Mlp
from tests.support import damage
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.checkpoints.limits import UnfoldingError, check_copied, check_unfolded
from trainables.models.families import empty_model, most_state_bytes


def written(folder: Path, payload: bytes, epoch: int = 1) -> None:
    """A checkpoint of trial 0 whose digest fits."""
    (folder / "0").mkdir(parents=True, exist_ok=True)
    content = hashlib.sha256(payload).digest() + payload
    (folder / "0" / f"epoch-{epoch:06d}.pt").write_bytes(content)


def saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def compressed(payload: bytes) -> bytes:
    """The same file of torch's with its entries deflated."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(payload)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return buffer.getvalue()


def overlapping(payload: bytes) -> bytes:
    """The same file with its directory claiming a hundred times the bytes of an entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        for number in range(100):
            again = zipfile.ZipInfo(f"archive/data/again{number}")
            first = new.infolist()[0]
            again.header_offset, again.file_size = first.header_offset, 10_000
            again.compress_size, again.CRC = 10_000, first.CRC
            new.filelist.append(again)
        new._didModify = True
    return buffer.getvalue()


def laughs(levels: int) -> Any:
    state: Any = [0]
    for _ in range(levels):
        state = [state, state]
    return state


def circle() -> Any:
    state: list[Any] = []
    state.append(state)
    return state


MANY = {
    "compressed": (compressed(saved({"a": torch.zeros(1_000_000)})), "entries are compressed"),
    "overlapping": (overlapping(saved({"a": torch.zeros(10)})), "entries claim"),
    "one number repeated": (saved({"a": torch.zeros(1).expand(10**9)}), "repeat their numbers"),
    "many numbers on no device": (saved({"a": torch.zeros(10**9, device="meta")}), "unfolds to"),
    "lists within lists": (saved({"a": laughs(40)}), "unfolds to more"),
    "a list in itself": (saved({"a": circle()}), "nested in more than 100 levels"),
}


@pytest.mark.parametrize("name", MANY)
def test_what_unfolds_is_passed_over_and_told(tmp_path: Path, name: str) -> None:
    payload, told = MANY[name]
    written(tmp_path, saved({"epoch": 1}))
    written(tmp_path, payload, epoch=2)
    checkpoints = Checkpoints(str(tmp_path), 0)
    assert checkpoints.load() == {"epoch": 1}
    (passed_over,) = checkpoints.unreadable
    assert passed_over.path.endswith("epoch-000002.pt")
    assert told in passed_over.reason


def test_a_larger_file_than_the_configuration_needs_is_not_read(tmp_path: Path) -> None:
    model = empty_model(Mlp(hidden=[4]), (8,), 2, seed=0)
    most = most_state_bytes(model)
    (tmp_path / "0").mkdir()
    with (tmp_path / "0" / "epoch-000001.pt").open("wb") as file:
        file.truncate(most + 1000)  # takes no room on the disk
    checkpoints = Checkpoints(str(tmp_path), 0, most)
    assert checkpoints.load() is None
    (passed_over,) = checkpoints.unreadable
    assert f"a checkpoint of this configuration has at most {most:,}" in passed_over.reason


def test_a_state_that_is_too_large_is_refused_as_it_is_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a checkpoint may have 1,000 bytes, this state has"):
        Checkpoints(str(tmp_path), 0, most_bytes=1000).save(1, {"a": torch.zeros(1000)})
    assert not (tmp_path / "0").exists()


def test_usual_states_are_within_the_bounds() -> None:
    weight = torch.zeros(100, 100)
    tied = {"a": weight, "b": weight, "c": weight.T, "list": list(range(100_000))}
    for state in (tied, {"deep": [[[[{"a": (1, 2)}]]]]}, {}, {"a": [0.5] * 50_000}):
        check_unfolded(state, len(saved(state)))
    with pytest.raises(UnfoldingError):
        check_unfolded({"a": weight.expand(60_000, 100, 100)}, len(saved(tied)))


shared = torch.nn.Linear(100, 100)
MANY_NAMES: dict[str, dict[str, Any]] = {
    "a layer shared": torch.nn.Sequential(*[shared] * 24).state_dict(),
    "a tensor many times": {"a": [torch.zeros(10_000)] * 999},
    "one number repeated": {"a": torch.zeros(1).expand(1_000_000)},
    "coordinates": {"a": torch.eye(1000).to_sparse()},
    "no numbers": {"a": torch.zeros(0, 5), "b": torch.zeros(1000)[:1]},
}


@pytest.mark.parametrize("name", MANY_NAMES)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_what_is_saved_is_read_back_though_it_unfolds(tmp_path: Path, name: str) -> None:
    checkpoints = Checkpoints(str(tmp_path), 0)
    checkpoints.save(1, MANY_NAMES[name])
    read = checkpoints.load()
    assert read is not None, checkpoints.unreadable
    assert read.keys() == MANY_NAMES[name].keys()


@pytest.mark.parametrize("name", ["one number repeated", "lists within lists"])
def test_what_reading_would_refuse_is_refused_as_it_is_saved(tmp_path: Path, name: str) -> None:
    state = {"one number repeated": torch.zeros(1).expand(10**9), "lists within lists": laughs(40)}
    with pytest.raises(ValueError, match="could not be read back: it unfolds to"):
        Checkpoints(str(tmp_path), 0).save(1, {"a": state[name]})
    assert not (tmp_path / "0").exists()


def test_tensors_that_share_their_memory_are_copied_within_bounds() -> None:
    weight = torch.zeros(100, 100)
    check_copied([weight] * 24)
    with pytest.raises(UnfoldingError, match=r"take 2,400,000,000 bytes as copies"):
        check_copied([weight] * 60_000)


@pytest.mark.filterwarnings("default")
@pytest.mark.edits_journals
def test_an_export_reads_no_checkpoint_that_unfolds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damage.make_runs(tmp_path)[0]
    for file in (run / "checkpoints").rglob("*.pt"):
        payload = compressed(saved({"training": {"a": torch.zeros(3_000_000)}}))
        file.write_bytes(hashlib.sha256(payload).digest() + payload)
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    told = capsys.readouterr().err
    assert "entries are compressed, which torch.save never does" in told
    assert "no whole checkpoint" in told


@pytest.mark.edits_journals
def test_weights_of_another_shape_are_no_weights_of_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damage.make_runs(tmp_path)[0]
    for file in list((run / "checkpoints").rglob("*.pt")):
        checkpoints = Checkpoints(str(file.parents[1]), int(file.parent.name))
        state = checkpoints.load()
        assert state is not None
        state["training"]["model"] = {"1.weight": torch.zeros(1).expand(16, 65)}
        checkpoints.save(state["training"]["epoch"], state)
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    assert "no whole checkpoint" in capsys.readouterr().err
