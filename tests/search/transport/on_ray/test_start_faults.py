"""What keeps Ray from starting, told before it is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import ray

from search.cli.main import main
from search.transport.on_ray.start_faults import keep_token_in_memory, start_error, start_faults
from tests.support.processes import DEADLINE_SECONDS, RayCluster, shoal, slow_file

LONG = "/tmp/" + "x" * 60
VARIABLES = ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and none of Ray's variables set."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # brought back afterwards, even where a test sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def faults() -> str:
    return "\n".join(map(str, start_faults(None)))


def test_nothing_is_wrong_where_nothing_is_set() -> None:
    assert faults() == ""


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_a_path_too_long_for_sockets_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, LONG)
    rule = "Ray's sockets lie below it, so it may have at most 39 bytes, got 65"
    assert faults() == f"{name}: {rule}: {LONG}; set RAY_TMPDIR to a short path, such as /tmp"
    assert start_faults("10.0.0.1:6379") == []  # a cluster has its sessions already


def test_a_folder_of_which_nothing_can_be_made_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    (home / "file").touch()
    monkeypatch.setenv("RAY_TMPDIR", "file/below")
    assert faults() == (
        "RAY_TMPDIR: Ray's folder for its sessions can't be made in file/below; "
        "set RAY_TMPDIR to a folder that can be written"
    )


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"\x80\xff", b"two words", b"a\nb", b"\x00", b"\xc3\xa9"]
)
def test_a_token_file_that_holds_no_token_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    file = home / "token"
    file.write_bytes(content)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    rule = "RAY_AUTH_TOKEN_PATH: Ray's token must be one line of ASCII signs without spaces"
    assert faults().startswith(rule)
    assert faults().endswith("unset RAY_AUTH_TOKEN_PATH")


@pytest.mark.parametrize("name", ["absent", "."])
def test_a_token_file_that_is_none_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / name))
    assert f"Ray's token can't be read from {home / name}: " in faults()
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert faults() == ""


def test_a_spoilt_token_at_home_is_told_with_the_way_out(home: Path) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_bytes(b"\xff" * 8)
    assert faults().endswith("got 8 bytes that are none; delete it: Ray makes a new one")


def test_a_good_token_is_none_of_our_business(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "token").write_text("0123456789abcdef\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "token"))
    assert faults() == ""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a b")
    assert faults().startswith("RAY_AUTH_TOKEN: ")


def test_without_a_home_that_can_be_written_the_token_stays_in_memory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_token_in_memory()
    assert "RAY_AUTH_TOKEN" not in os.environ
    (home / "file").touch()
    monkeypatch.setenv("HOME", str(home / "file"))
    keep_token_in_memory()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    assert faults() == ""


def test_doctor_tells_all_that_keeps_ray_from_starting(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("RAY_TMPDIR", LONG)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a b")
    (home / "file").touch()
    changes = ["--set", "storage=file/below", "--set", "resources.gpus=0"]
    assert main(["doctor", "quickstart", *changes]) == 1
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("fault")]
    places = ("storage", "ray, RAY_TMPDIR: ", "ray, RAY_AUTH_TOKEN: ")
    assert len(told) == len(places)
    assert all(place in line for place, line in zip(places, told, strict=True))


def test_a_search_tells_them_in_a_line_each_and_makes_no_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", LONG)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a b")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # by the tests before this one
    options = ["--run", str(home / "run"), "--engine", "tune"]
    assert main(["search", "quickstart", *options]) == 2
    _, first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: RAY_TMPDIR: ")
    assert second.startswith("RAY_AUTH_TOKEN: ")
    assert not (home / "run").exists()


def test_code_too_large_to_be_sent_is_told_with_the_largest_of_it(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "images.bin").write_bytes(b"x" * 1_000_000)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b").write_bytes(b"x" * 9_000_000)
    error = ValueError("Package size (620.51MiB) exceeds the maximum size of 512.00MiB. To …")
    outer = RuntimeError("Failed to upload")
    outer.__cause__ = error
    message = str(start_error(outer, "auto", tmp_path))
    assert "takes 620.51MiB when packed, at most 512.00MiB can be sent" in message
    assert "the largest in it: weights/ (3 MB), images.bin (1 MB). Name what" in message


@pytest.mark.slow
def test_the_doctor_of_a_cluster_goes_on_without_code_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = slow_file(tmp_path / "code")
    (tmp_path / "code" / "weights.bin").write_bytes(os.urandom(30_000_000))
    with RayCluster(head_cpus=1) as cluster:
        monkeypatch.setenv("RAY_max_grpc_message_size", "20000000")
        search = shoal("search", spec, "--run", str(tmp_path / "run"), "--address", cluster.address)
        _, error = search.communicate(timeout=DEADLINE_SECONDS)
        assert search.returncode == 2
        assert "takes 28.61MiB when packed, at most 19.07MiB can be sent" in error
        assert "Traceback" not in error
        doctor = shoal("doctor", spec, "--address", cluster.address)
        out, error = doctor.communicate(timeout=DEADLINE_SECONDS)
        assert "Traceback" not in error
    assert "the largest in it: weights.bin (30 MB)" in out
    assert out.count("ok       node") == 1
