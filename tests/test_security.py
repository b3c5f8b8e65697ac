"""What a file from somebody else cannot do: run code, leave its folder, eat the machine."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from search.cli.main import main
from search.export.inference import load_model
from search.export.retrain import read_config
from spaces.code import load_function
from spaces.files import load_experiment
from spaces.imports import parse_reference
from spaces.problems import InputError
from spaces.project import project_at
from tests.support import damage
from tests.support.source import FILES, each_file, name_of, packages_in
from trainables.checkpoints.checkpoints import Checkpoints

pytestmark = pytest.mark.edits_journals

UNPICKLERS = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
NAMES = ["../x", "/abs", "a/b", "..", ".", "", "a\0b", "a\n", "\n", "a\\b", "~", "-x", "a" * 101]


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, deep in a folder in which nothing else may appear."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of the built-in MLP, with checkpoints."""
    return damage.make_runs(tmp_path)[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of the built-in MLP."""
    return damage.make_bundles(tmp_path)[0]


def calls(path: Path) -> Iterator[tuple[str, dict[str | None, str]]]:
    """(function, keyword arguments) of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            yield ast.unparse(node.func), keywords


def all_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def message_of(load: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        load()
    return str(caught.value)


@each_file
def test_no_file_can_unpickle_or_run_a_text(path: Path) -> None:
    assert UNPICKLERS.isdisjoint(packages_in(path))
    for function, keywords in calls(path):
        assert function not in ("eval", "exec", "compile", "__import__", "os.system")
        assert keywords.get("shell") != "True"
        assert keywords.get("allow_pickle") != "True"
        if function.startswith("torch.") and "load" in function:
            assert function == "torch.load"
            assert keywords.get("weights_only") == "True"
        assert not (function.startswith("onnx.") and "load" in function)
        if function.startswith("yaml.") and "load" in function:
            assert function == "yaml.safe_load" or keywords.get("Loader") == "_Loader"


def test_yaml_is_read_by_one_loader_which_is_a_safe_one() -> None:
    from spaces.text import _Loader

    assert issubclass(_Loader, yaml.SafeLoader)
    named = [path for path in FILES if "class _Loader(" in path.read_text()]
    assert [name_of(path) for path in named] == ["spaces/text.py"]


def test_the_users_code_is_imported_in_one_place() -> None:
    words = ("exec_module", "import_module", "run_path", "run_module")
    found = {
        name_of(path)
        for path in FILES
        for function, _ in calls(path)
        if function.rpartition(".")[2] in words
    }
    ours = {"search/__init__.py"}  # by names that stand in it
    assert found == {"spaces/own_modules.py"} | ours


@pytest.mark.parametrize("pickler", ["pickle", "torch", "old torch"])
def test_a_pickle_among_the_checkpoints_is_passed_over(
    run: Path, tmp_path: Path, pickler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    payload, bomb = io.BytesIO(), {"training": Bomb(tmp_path / "exploded"), "reports": []}
    if pickler == "pickle":
        pickle.dump(bomb, payload)
    else:
        torch.save(bomb, payload, _use_new_zipfile_serialization=pickler == "torch")
    content = payload.getvalue()
    for file in (run / "checkpoints").rglob("*.pt"):
        file.write_bytes(hashlib.sha256(content).digest() + content)
        assert Checkpoints(str(file.parents[1]), int(file.parent.name)).load() is None
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    assert "no whole checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "metrics.json", "config.yaml"])
@pytest.mark.parametrize("pickler", [pickle.dump, torch.save])
def test_a_pickle_in_a_bundle_is_refused(
    bundle: Path, tmp_path: Path, name: str, pickler: Callable[..., None]
) -> None:
    with (bundle / name).open("wb") as file:
        pickler({"0.weight": Bomb(tmp_path / "exploded")}, file)
    assert str(bundle / name) in message_of(lambda: load_model(bundle))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("tag", ["object/apply:pathlib.Path", "object/new:pathlib.Path", "name:os"])
def test_a_yaml_object_is_refused(elsewhere: Path, bundle: Path, tag: str) -> None:
    value = f"!!python/{tag} [exploded]"
    file = damage.write_whole(damage.EXPERIMENTS[0], elsewhere)
    assert "got the tag !!python/" in message_of(lambda: load_experiment(file, [f"seed={value}"]))
    file.write_text(f"name: x\nseed: {value}\n")
    assert "line 2: must hold texts, numbers" in message_of(lambda: load_experiment(file))
    (bundle / "config.yaml").write_text(f"model: {value}\n")
    assert "line 1: must hold texts, numbers" in message_of(lambda: read_config(bundle, []))


def test_a_yaml_call_is_not_made(elsewhere: Path) -> None:
    (elsewhere / "file.yaml").write_text("name: !!python/object/apply:os.mkdir [exploded]\n")
    assert main(["show", "file.yaml"]) == 2
    assert all_below(elsewhere) == {elsewhere / "file.yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_leave_the_folder_is_refused(
    elsewhere: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage.write_whole({**damage.EXPERIMENTS[0], "name": name}, elsewhere)
    before = all_below(tmp_path)
    assert main(["search", "file.yaml"]) == 2
    assert "name: must have 1 to 100 letters" in capsys.readouterr().err
    assert all_below(tmp_path) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_journal_with_such_a_name_is_refused_by_every_command(
    run: Path, tmp_path: Path, name: str
) -> None:
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    started = json.loads(lines[0])
    started["spec"] = {**started["spec"], "name": name, "storage": str(tmp_path / "kept")}
    (run / "journal.jsonl").write_text("".join([json.dumps(started) + "\n", *lines[1:]]))
    before = all_below(tmp_path)
    for command in ("status", "best", "rebuild", "replay", "clean", "resume"):
        assert main([command, str(run)]) == 2
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    assert all_below(tmp_path) == before


@pytest.mark.parametrize("trial", ["../../x", -1, "0/../../x", 1.5, 2**70])
def test_a_trial_is_a_number_so_its_files_stay_in_the_run(run: Path, trial: object) -> None:
    with (run / "journal.jsonl").open("a") as journal:
        event = {"event": "created", "trial": trial, "params": {}, "seed": 1}
        journal.write(json.dumps(event) + "\n")
    assert main(["rebuild", str(run)]) == 2


def test_no_path_that_a_journal_holds_is_followed(run: Path, tmp_path: Path) -> None:
    (run / "checkpoints").rename(tmp_path / "moved")
    text = (run / "journal.jsonl").read_text().replace('"path":"', f'"path":"{tmp_path}/moved/')
    (run / "journal.jsonl").write_text(text)
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("code", ["secret.txt:train", "gone.py:train"])
def test_an_export_takes_only_python_files_along(tmp_path: Path, code: str) -> None:
    run = damage.make_runs(tmp_path)[4]
    (tmp_path / "secret.txt").write_text("mine")
    text = (run / "journal.jsonl").read_text()
    (run / "journal.jsonl").write_text(text.replace(f"{run}/own.py:train", f"{tmp_path}/{code}"))
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 2
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("linked", ["", "given_data", "given_data/mine.npy"])
def test_an_export_takes_no_file_along_that_code_calls_its_data(
    tmp_path: Path, linked: str
) -> None:
    run = damage.make_runs(tmp_path)[4]
    secret = tmp_path / "elsewhere" / "mine.npy"
    secret.parent.mkdir()
    secret.write_text("mine")
    if linked:
        (run / linked).parent.mkdir(exist_ok=True)
        (run / linked).symlink_to(secret if linked.endswith("npy") else secret.parent)
    with (run / "own.py").open("a") as file:
        for name in ("mine.npy", "../../elsewhere/mine.npy", str(secret), "", "..", "a\0b"):
            file.write(f"\n_kept_data({name!r})")
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 0
    assert (tmp_path / "bundle" / "code" / "own.py").is_file()
    assert not [*(tmp_path / "bundle").rglob("*.npy")]


def test_a_run_is_looked_at_without_its_code(tmp_path: Path) -> None:
    run = damage.make_runs(tmp_path)[4]
    (run / "own.py").write_text("raise RuntimeError('imported')")
    for command in ("status", "best", "rebuild", "replay", "clean"):
        assert main([command, str(run)]) == 0
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 0
    read_config(tmp_path / "bundle", [])


READERS = [
    *(["status"], ["status", "--json"], ["best"], ["replay"], ["rebuild"], ["clean"]),
    *(["compare", "--by", "x"], ["table", "-o", "trials.csv"], ["export", "-o", "bundle"]),
    *(["report", "--format", kind] for kind in ("html", "md", "csv", "json")),
]


@pytest.mark.parametrize("is_old", [False, True], ids=["now", "without distributions"])
def test_reading_a_run_whose_space_is_a_function_imports_nothing(
    elsewhere: Path, is_old: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = damage.make_runs(elsewhere.parent)[5]
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    drawn = [line["distributions"] for line in lines if line["event"] == "created"]
    assert drawn
    assert all(held["x"]["name"] == "FloatDistribution" for held in drawn)
    if is_old:
        plain = [{k: v for k, v in line.items() if k != "distributions"} for line in lines]
        (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in plain))
    (run / "own.py").write_text("open('imported', 'w')\nraise RuntimeError('imported')\n")
    project_at(run).forget(parse_reference(f"{run}/own.py:space"))  # as in a process of its own
    for name, *flags in READERS:
        assert main([name, str(run), *flags]) == 0, capsys.readouterr().err
    assert not list(elsewhere.parent.rglob("imported"))
    for command in (["resume"], ["confirm"], ["audit"], ["replay", "--proposals"]):
        capsys.readouterr()
        assert main([command[0], str(run), *command[1:]]) == 2
        told = capsys.readouterr().err
        named = told.index(f"runs your code: {run}/own.py")
        assert named < told.index("cannot be imported: RuntimeError: imported")


def test_only_the_named_file_is_imported(elsewhere: Path) -> None:
    damage.write_whole(damage.EXPERIMENTS[4], elsewhere)
    for name in ("other.py", "train.py", "conftest.py", "sitecustomize.py", "sklearn.py"):
        (elsewhere / name).write_text("open('exploded', 'w')")
    for name in ("rich.py", "analysis.py", "search.py"):  # some are imported only now, by name
        (elsewhere / name).write_text("open('exploded', 'w')")
    assert main(["show", "file.yaml"]) == 0
    assert load_function("own.py:train").__name__ == "train"
    from sklearn.datasets import load_digits

    assert load_digits is not None
    assert not (elsewhere / "exploded").exists()


def test_a_pipe_in_a_bundle_is_not_waited_for(bundle: Path) -> None:
    for name in ("model.safetensors", "metrics.json", "config.yaml"):
        (bundle / name).unlink()
        os.mkfifo(bundle / name)
        assert f"{name}: there is no such file" in message_of(lambda: load_model(bundle))


def test_a_terminal_obeys_nothing_that_a_file_or_a_journal_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # so that no table breaks a text
    evil, run = "\x1b]0;mine\x07[bold][/red]", damage.make_runs(tmp_path)[4]
    file = damage.write_whole({**damage.EXPERIMENTS[4], "question": evil}, tmp_path)
    text = (run / "journal.jsonl").read_text()
    (run / "journal.jsonl").write_text(text.replace('"a"', json.dumps(evil)))
    capsys.readouterr()
    for command in (["show", str(file)], ["status", str(run)], ["best", str(run)]):
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert "\\x1b]0;mine\\x07[bold][/red]" in printed.replace("\n", "")
    assert main(["show", str(file), "--set", f"x{evil}=1"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_bundles_weights_are_compared_before_they_are_loaded(bundle: Path) -> None:
    file = bundle / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    for changed, told in [
        ({**weights, "1.weight": torch.zeros(3)}, "1.weight must be F32 [16, 64], got F32 [3]"),
        ({**weights, "1.weight": weights["1.weight"].double()}, "got F64 [16, 64]"),
        ({**weights, "more": torch.zeros(3)}, "'more' is not in the model"),
        ({"1.weight": weights["1.weight"]}, "'1.bias' is missing"),
    ]:
        safetensors.torch.save_file(changed, file)
        assert told in message_of(lambda: load_model(bundle))
