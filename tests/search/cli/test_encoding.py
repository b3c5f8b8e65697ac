"""Terminals that can't write every sign."""

from __future__ import annotations

from contextlib import redirect_stdout
from pathlib import Path

import pytest

from search.cli.encoding import accept_every_sign
from search.cli.main import main


def test_a_terminal_of_ascii_gets_plain_signs(tmp_path: Path) -> None:
    with (tmp_path / "printed").open("w", encoding="ascii") as file, redirect_stdout(file):
        assert main(["show", "quickstart"]) == 0
    assert "0.0001 ... 1 (log)" in (tmp_path / "printed").read_text()


def test_other_signs_and_broken_texts_are_written_as_escapes(tmp_path: Path) -> None:
    with (tmp_path / "printed").open("w", encoding="ascii") as file, redirect_stdout(file):
        accept_every_sign()
        print("a → b ± café \udc80 数")
    plain = "a -> b +/- caf\\xe9 \\udc80 \\u6570\n"
    assert (tmp_path / "printed").read_text() == plain


def test_a_name_in_another_encoding_is_told_on_any_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(tmp_path / "\udcff")]) == 2
    assert "\\udcff" in capsys.readouterr().err
