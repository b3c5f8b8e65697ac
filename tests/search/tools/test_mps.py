"""Whether CUDA MPS is on, with made-up pipes of its daemon; and that ``shoal doctor`` says so."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from search.tools import doctor
from search.tools.mps import is_mps_on, mps_line


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the daemon would listen."""
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    return tmp_path / "control"


def test_it_is_off_where_there_is_no_pipe(control: Path) -> None:
    assert not is_mps_on()


def test_a_pipe_is_on_as_long_as_somebody_reads_it(control: Path) -> None:
    os.mkfifo(control)
    assert not is_mps_on()
    reader = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    assert is_mps_on()
    os.close(reader)
    assert not is_mps_on()


def test_a_socket_is_on_as_long_as_somebody_listens(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", ".")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind("control")
        assert not is_mps_on()
        daemon.listen()
        assert is_mps_on()
    assert not is_mps_on()


@pytest.mark.parametrize(
    ("gpus", "mps", "lines"),
    [
        ([], True, []),
        (["NVIDIA H100 with 85 GB"], True, [mps_line(True)]),
        (["NVIDIA H100 with 85 GB"], False, [mps_line(False)]),
    ],
)
def test_doctor_says_so_of_a_node_that_has_gpus_and_nothing_of_others(
    gpus: list[str], mps: bool, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"versions": doctor.versions(), "gpus": gpus, "mps": mps, "faults": []}

    def answer(*asked: Any) -> dict[str, Any]:
        return seen

    monkeypatch.setattr(doctor, "ask_node", answer)
    node = {"NodeManagerAddress": "here", "Resources": {"CPU": 2.0, "GPU": float(len(gpus))}}
    findings = list(doctor._node(node, "place", None, None))
    assert [found.message for found in findings[1:]] == lines
    assert {found.verdict for found in findings} == {"ok"}


def test_both_lines_say_what_it_brings_and_one_how_to_start_it() -> None:
    assert "at the same time" in mps_line(True)
    assert "nvidia-cuda-mps-control -d starts it" in mps_line(False)
