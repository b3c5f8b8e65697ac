"""A bundle of own code holds what its training needs, and trains in another place."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import analysis.bundle.project_files
from analysis.bundle.bundle import folder_of_code
from analysis.bundle.project_files import Taken, take
from search.cli.main import main
from spaces import InputError

CODE = """
import json
from pathlib import Path
import torch
from mypkg.nets import net

OFFSET = json.loads(Path(__file__).with_name("stats.json").read_text())

def run(config, context):
    words = open("data/words.txt").read()
    len(open("data/large.txt").read())
    model = net()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(context.epoch, context.max_epochs):
        with torch.no_grad():
            model.weight += config["x"] + OFFSET + len(words)
        context.save(STATE)
        yield {"score": model.weight.sum().item()}
"""
NETS = "import torch\ndef net():\n    return torch.nn.Linear(2, 1)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package, files that it reads and an experiment; the current folder."""
    folder = tmp_path / "project"
    files = {
        "src/mypkg/__init__.py": "",
        "src/mypkg/nets.py": NETS,
        "src/mypkg/train.py": CODE.replace(
            "STATE", "{'optimizer': optimizer.state_dict(), 'model': model.state_dict()}"
        ),
        "src/mypkg/stats.json": "0.5",
        "src/mypkg/unused.py": "",
        "data/words.txt": "words",
        "data/large.txt": "l" * 1000,
        "data/unused.txt": "",
        "own.yaml": yaml.safe_dump(
            {
                "name": "own",
                "trainable": "src/mypkg/train.py:run",
                "space": {"x": {"low": 0.0, "high": 1.0}},
                "baseline": {"x": 0.25},
                "metric": {"name": "score"},
                "scheduler": {"max_epochs": 2},
                "budget": {"trials": 1},
            }
        ),
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    return folder


def trained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["train", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_bundle_is_whole_and_says_how_to_use_its_weights(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tmp_path / "bundle"
    trained(capsys, "own.yaml", "-o", str(bundle))
    code = ["data/large.txt", "data/words.txt"]
    code += [f"src/mypkg/{name}" for name in ("__init__.py", "nets.py", "stats.json", "train.py")]
    copied = [path for path in (bundle / "code").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(bundle / "code")) for path in copied) == code
    assert sorted(json.loads((bundle / "code.json").read_text())["files"]) == code
    card = (bundle / "README.md").read_text()
    assert all(f"- `code/{name}`" in card for name in code)

    shutil.rmtree(project)  # as on another machine
    monkeypatch.chdir(tmp_path)
    assert trained(capsys, "bundle")["difference"] == 0.0
    again = tmp_path / "again"
    trained(capsys, "bundle", "-o", str(again))
    assert trained(capsys, str(again))["difference"] == 0.0

    names: dict[str, Any] = {"model": torch.nn.Linear(2, 1)}
    monkeypatch.chdir(bundle)
    lines = [line[4:] for line in card.splitlines() if line.startswith("    ")]
    exec("\n".join(line for line in lines if not line.startswith("shoal")), names)
    value = json.loads((bundle / "metrics.json").read_text())["value"]
    assert names["model"].weight.sum().item() == value


@pytest.mark.usefixtures("project")
def test_a_bundle_whose_code_has_changed_since_says_so_when_it_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    trained(capsys, "own.yaml", "-o", str(bundle))
    since = [
        {"what": "host", "was": "here", "now": "there"},
        {"what": "code train.py", "was": "SHA-256 ab…", "now": "SHA-256 cd…"},
    ]
    (bundle / "changes.json").write_text(json.dumps({"since_it_was_trained": since}))
    assert main(["train", str(bundle)]) == 0
    lines = [held for held in capsys.readouterr().err.splitlines() if held.startswith("warning")]
    since_then = "warning: since the weights were trained: "
    assert lines == [f"{since_then}code train.py was SHA-256 ab…, now SHA-256 cd…"]
    (bundle / "changes.json").write_text("[]")
    assert main(["train", str(bundle)]) == 2
    assert "changes.json: must hold what has changed" in capsys.readouterr().err


def test_what_is_too_large_is_left_out_and_told(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(analysis.bundle.project_files, "LARGEST_FILE", 900)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["train", "own.yaml", "-o", str(tmp_path / "bundle")]) == 0
    assert "does not hold data/large.txt (it has 0 MB" in capsys.readouterr().err
    assert not (tmp_path / "bundle" / "code" / "data" / "large.txt").exists()
    assert "- `data/large.txt`: it has" in (tmp_path / "bundle" / "README.md").read_text()
    assert trained(capsys, str(tmp_path / "bundle"))["difference"] == 0.0  # where the file is
    shutil.copy("data/large.txt", tmp_path / "bundle" / "code" / "data")
    monkeypatch.chdir(tmp_path)
    assert trained(capsys, "bundle")["difference"] == 0.0


@pytest.mark.parametrize("name", ["LARGEST_SUM", "MOST_FILES"])
def test_what_is_too_much_is_left_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(analysis.bundle.project_files, name, 3)
    record = {"files": ["../data/words.txt", "../data/large.txt"], "folder": ".."}
    taken = take(f"{project}/src/mypkg/train.py:run", record)
    assert "data/large.txt" in taken.left_out
    assert taken.reference == "code/src/mypkg/train.py:run"


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        "x",
        {"files": "mypkg", "folder": 3},
        {"files": [1, None, ["x"], "\0"], "folder": "\0"},
        {"files": ["/etc/hostname", "../../../../../../etc/hostname"], "folder": "../.."},
        {"files": ["mypkg/gone.txt", "mypkg"], "folder": "../elsewhere"},
        {"files": [".env"], "folder": "/"},
        {"files": ["/etc/hostname"], "folder": "/"},
        {"files": ["/etc/hostname"], "folder": "../../../../../../.."},
    ],
)
def test_a_record_that_somebody_made_takes_nothing_else_along(
    project: Path, record: object
) -> None:
    (project / "src" / ".env").write_text("secret")
    taken = take(f"{project}/src/mypkg.train:run", record)
    names = {Path(name).name for name in taken.files}
    assert names == {"__init__.py", "nets.py", "train.py"}


def test_no_name_leads_out_of_a_bundle(project: Path, tmp_path: Path) -> None:
    for name in ("../x.py", "../../x.py", str(tmp_path / "x.py")):
        with pytest.raises(ValueError, match="leads out of the bundle"):
            Taken(project / "src", "code/x.py:f", (name,), {}).copy(tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_code_that_is_gone_is_told(project: Path) -> None:
    with pytest.raises(InputError, match="trainable: there is no file"):
        take(f"{project}/gone.py:run")


@pytest.mark.parametrize("held", ["[]", '{"left_out": 2}', '{"left_out": ["a.csv"]}'])
def test_a_record_of_code_that_is_none_is_refused(held: str, tmp_path: Path) -> None:
    (tmp_path / "code.json").write_text(held)
    with pytest.raises(InputError, match=r"code\.json: must hold which files were left out"):
        folder_of_code(tmp_path)
