"""Terminals that can't write every sign."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from search.cli import main
from search.streams import accept_every_sign


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a standard output that has ASCII only is written."""
    file = tmp_path / "printed"
    monkeypatch.setattr(sys, "stdout", file.open("w", encoding="ascii", buffering=1))
    return file


def test_a_terminal_of_ascii_gets_plain_signs(printed: Path) -> None:
    assert main(["show", "quickstart"]) == 0
    assert "0.0001 ... 1 (log)" in printed.read_text()


def test_other_signs_and_broken_texts_are_written_as_escapes(printed: Path) -> None:
    accept_every_sign()
    print("a → b ± café \udc80 数")
    assert printed.read_text() == "a -> b +/- caf\\xe9 \\udc80 \\u6570\n"


def test_a_name_in_another_encoding_is_told_on_any_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(tmp_path / "\udcff")]) == 2
    assert "\\udcff" in capsys.readouterr().err
