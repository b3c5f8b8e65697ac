"""Which files a user's code consists of, found without running it."""

from __future__ import annotations

from pathlib import Path

from spaces.code_files import code_fingerprint

FILES = {
    "own.py": "import os, torch, nets\nfrom helpers import data as d\n\ndef train(c, x):\n"
    "    from helpers.deep import more\n",
    "nets.py": "import json\nimport blocks.conv\n",
    "blocks/conv.py": "x = 1\n",
    "helpers/__init__.py": "",
    "helpers/data.py": "from . import shared\nfrom .deep import more\n",
    "helpers/shared.py": "import own\n",
    "helpers/deep/__init__.py": "",
    "helpers/deep/more.py": "from ..shared import *\n",
    "unused.py": "raise RuntimeError('imported')\n",
    "torn.py": "def (",
}


def project(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def names(folder: Path, file: str) -> set[str]:
    return set(code_fingerprint(f"{folder / file}:train"))


def test_a_file_is_taken_with_all_that_it_imports_from_its_project(tmp_path: Path) -> None:
    assert names(project(tmp_path), "own.py") == FILES.keys() - {"unused.py", "torn.py"}


def test_a_file_in_a_package_is_seen_from_above_the_package(tmp_path: Path) -> None:
    project(tmp_path)
    needed = {"helpers/__init__.py", "helpers/data.py", "helpers/shared.py", "own.py"}
    assert needed <= names(tmp_path, "helpers/data.py")
    assert set(code_fingerprint(f"{tmp_path}/helpers/shared.py:run")) >= {"helpers/shared.py"}
    assert set(code_fingerprint(f"{tmp_path}/helpers.shared:run")) >= {"helpers/shared.py"}


def test_a_change_in_any_of_them_changes_the_fingerprint(tmp_path: Path) -> None:
    reference = f"{project(tmp_path)}/own.py:train"
    before = code_fingerprint(reference, reference)
    (tmp_path / "helpers" / "shared.py").write_text("import own  # changed\n")
    (tmp_path / "unused.py").write_text("")
    after = code_fingerprint(reference)
    assert {name for name in before if before[name] != after[name]} == {"helpers/shared.py"}


def test_where_the_project_lies_does_not_matter(tmp_path: Path) -> None:
    here, there = project(tmp_path / "a"), project(tmp_path / "b" / "c")
    assert code_fingerprint(f"{here}/own.py:f") == code_fingerprint(f"{there}/own.py:f")


def test_code_that_is_torn_or_gone_is_no_error(tmp_path: Path) -> None:
    assert names(project(tmp_path), "torn.py") == {"torn.py"}
    (tmp_path / "evil.py").write_bytes(b"x = '\0'\n" + b"(" * 5000)
    assert names(tmp_path, "evil.py") == {"evil.py"}
    assert code_fingerprint(f"{tmp_path}/gone.py:train", "nothing", "") == {}
    assert code_fingerprint(f"{tmp_path}/helpers.gone:train") == {}
