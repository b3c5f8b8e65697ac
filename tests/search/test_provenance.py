"""What a run depends on, then and now: compared, told, noted, shown, and kept in bundles."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.bundle.card import _changes
from analysis.display.tables import markdown_text
from analysis.record.events import Changed, Started
from analysis.record.folder import RunFolder, open_run
from analysis.record.journal import Journal, read_journal
from analysis.record.surroundings import Fingerprint, Surroundings, differences
from search.cli.console import ERR
from search.cli.main import main
from search.control.coordinator import Coordinator
from search.control.view import ignore_note
from search.export.bundle import export_best
from search.provenance import compare, record_changes, surroundings_of
from search.run_context import run_context
from search.versions import versions
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.training_config import TrainConfig, resolve
from tests.support import examples
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.data.splits import load_data
from trainables.models.families import empty_model

NOW = Surroundings(
    versions={"torch": "2.15.0", "numpy": "2.0"},
    host="here",
    split={"training": Fingerprint(samples=10, sha256="ab" * 32)},
    code={"own.py": "1" * 64, "nets.py": "2" * 64},
)


@pytest.mark.parametrize(
    ("was", "told"),
    [
        ({}, []),
        ({"host": "there"}, ["host: was there, now here"]),
        ({"versions": {"torch": "2.14.0"}}, ["torch: was 2.14.0, now 2.15.0"]),
        ({"versions": {"ray": "2.60"}}, ["ray: was 2.60, now not installed"]),
        (
            {"split": {"training": Fingerprint(samples=12345, sha256="cd" * 32)}},
            [
                "training data: was 12,345 samples (SHA-256 cdcdcdcdcdcd…), "
                "now 10 samples (SHA-256 abababababab…)"
            ],
        ),
        ({"split": None, "code": None}, []),
        ({"host": "\x1b[2J"}, ["host: was \\x1b[2J, now here"]),
        (
            {"code": {"own.py": "1" * 64, "old.py": "3" * 64}},
            [
                "code old.py: was SHA-256 333333333333…, now not there",
                "code nets.py: was not there, now SHA-256 222222222222…",
            ],
        ),
    ],
)
def test_each_difference_is_a_line(was: dict[str, Any], told: list[str]) -> None:
    found = [str(held) for held in differences(NOW.model_copy(update=was), NOW)]
    assert len(found) == len(told)
    for line, expected in zip(found, told, strict=True):
        assert line.startswith(expected)


def test_a_bundles_card_shows_names_of_files_as_text() -> None:
    difference = {"what": "code a_b_*.py", "was": "<b>", "now": "[x](y)"}
    changes = {"trained_with": [], "while_the_run_went_on": []}
    (line,) = _changes({**changes, "since_it_was_trained": [difference]})[1:]
    told = "code a_b_*.py was <b>, then [x](y)"
    assert line == f"- since the training: {markdown_text(told)}"
    assert "<b>" not in line


def test_another_host_alone_is_only_noted(capsys: pytest.CaptureFixture[str]) -> None:
    compare(NOW.model_copy(update={"host": "there"}), NOW, strict=True, note=ERR.print)
    told = capsys.readouterr().err
    assert told == "note: another host than when the run began\n  host: was there, now here\n"


def test_strict_refuses_and_names_each_difference(capsys: pytest.CaptureFixture[str]) -> None:
    was = NOW.model_copy(update={"versions": {"torch": "1.0", "numpy": "1.0"}})
    compare(was, NOW, strict=False, note=ERR.print)
    assert capsys.readouterr().err.startswith("warning: this is not as it was when the run was")
    with pytest.raises(InputError, match=r"(?s)torch: was 1.0, now 2.15.0.*numpy: was 1.0"):
        compare(was, NOW, strict=True, note=ERR.print)


def images(folder: Path, count: int) -> None:
    """A dataset of two classes; the pixels depend on class and number."""
    for label in ("a", "b"):
        place = folder / "train" / label
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = np.full((4, 4, 3), number + 100 * (label == "b"), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")


class Run:
    """A run on images that are changed in the midst, made without Ray."""

    def __init__(self, folder: Path) -> None:
        self.data, self.run = folder / "images", RunFolder(folder / "run")
        images(self.data, 10)
        self.run.path.mkdir()
        self.experiment = examples.experiment(
            dataset={"name": "image_folder", "root": str(self.data), "normalize": "standard"},
            scheduler={"name": "none", "max_epochs": 2},
            budget={"trials": 4},
        )
        with closing(Journal(self.run.journal_file)) as journal:
            coordinator = Coordinator(self.experiment, journal)
            now = surroundings_of(self.experiment, self.load())
            coordinator.start(
                Started(spec=self.experiment.plain(), directory=str(folder), **dict(now))
            )
            self.train(coordinator, {0: 2, 1: 1}, value=0.5)
            coordinator.close("interrupted")
        self.first = self.load().fingerprint

    def load(self) -> Any:
        return load_data(self.experiment.dataset, self.experiment.seed)

    def resume(self, reports: dict[int, int], value: float, strict: bool = False) -> None:
        with run_context(self.run, ignore_note) as (folder, start, experiment, moved):
            now = surroundings_of(experiment, self.load())
            changed = compare(start.surroundings, now, strict, ERR.print)
            with closing(Journal(folder.journal_file)) as journal:
                coordinator = Coordinator(experiment, journal)
                coordinator.resume()
                record_changes(coordinator, changed, now, moved)
                self.train(coordinator, reports, value)
                coordinator.close("interrupted")

    def train(self, coordinator: Coordinator, epochs: dict[int, int], value: float) -> None:
        """Report so many epochs of each trial, and leave a checkpoint of the last."""
        for number, most in epochs.items():
            trial = coordinator.next_trial()
            assert trial is not None
            assert trial.number == number
            while trial.epoch < most:
                examples.report(coordinator, number, trial.epoch + 1, value + 0.01 * number)
            save_weights(self.experiment, self.run, trial, self.load())

    def changes(self) -> list[Changed]:
        events = read_journal(self.run.journal_file)
        return [event for event in events if isinstance(event, Changed)]


def save_weights(experiment: Experiment, run: RunFolder, trial: Any, data: Any) -> None:
    config = resolve(experiment, trial.params, trial.seed)
    assert isinstance(config, TrainConfig)
    model = empty_model(config.model, data.input_shape, data.outputs, seed=0)
    shapes = model.state_dict().items()
    weights = {name: torch.zeros(held.shape, dtype=held.dtype) for name, held in shapes}
    training = {"epoch": trial.epoch, "kept": None, "model": weights}
    place = run.checkpoints(experiment.storage)
    Checkpoints(place, trial.number).save(trial.epoch, {"training": training, "reports": []})


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose trial 1 saw both datasets, trials 0 and 2 one each; the best is trial 2."""
    made_run = Run(tmp_path_factory.mktemp("changed"))
    made_run.resume({}, 0.0)  # nothing has changed yet
    assert made_run.changes() == []
    images(made_run.data, 8)
    for label in ("a", "b"):
        for number in (8, 9):
            (made_run.data / "train" / label / f"{number}.png").unlink()
    made_run.resume({1: 2, 2: 2}, 0.6)
    made_run.resume({}, 0.0)
    return made_run


def test_a_change_is_noted_once_with_what_was_and_is(changed: Run) -> None:
    (noted,) = changed.changes()
    assert [held.what for held in noted.differences] == ["training data", "validation data"]
    assert noted.differences[0].was.startswith("16 samples (SHA-256")
    assert noted.differences[0].now.startswith("13 samples (SHA-256")
    assert noted.now.plain_split == changed.load().fingerprint != changed.first


def test_a_bundle_has_the_split_and_inputs_of_its_own_model(
    changed: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_best(changed.run.path, tmp_path / "new", with_programs=False)
    assert capsys.readouterr().err == ""  # trained on what is there now
    now = changed.load()
    assert json.loads((tmp_path / "new" / "split.json").read_text()) == now.fingerprint
    kept = json.loads((tmp_path / "new" / "inputs.json").read_text())
    assert kept == now.spec.plain
    document = json.loads((tmp_path / "new" / "changes.json").read_text())
    assert len(document["while_the_run_went_on"]) == 1
    assert [world["split"] for world in document["trained_with"]] == [now.fingerprint]
    assert document["since_it_was_trained"] == []
    card = (tmp_path / "new" / "README.md").read_text()
    assert "## What has changed" in card
    assert "training data was 16 samples" in card
    assert "SHA-256 `" + now.fingerprint["training"]["sha256"] in card


@pytest.mark.parametrize(("best", "is_mixed"), [(0, False), (1, True)])
def test_a_bundle_never_has_another_split(
    changed: Run, tmp_path: Path, best: int, is_mixed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(changed.run.path, run)
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    for line in lines:
        if line["event"] == "report" and line["trial"] == best:
            line["metrics"]["val_accuracy"] = 0.9
    (run / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    bundle = tmp_path / "bundle"
    export_best(run, bundle, with_programs=False, note=ERR.print)
    if is_mixed:
        assert not (bundle / "split.json").exists()
        assert "trained on different data in turn" in (bundle / "README.md").read_text()
        return
    assert json.loads((bundle / "split.json").read_text()) == changed.first
    told = capsys.readouterr().err
    assert told.startswith("warning: this is not as it was when the run was trained")
    assert "training data: was 16 samples" in told
    assert "since the training: training data was 16" in (bundle / "README.md").read_text()
    for command in (["export", str(run), "-o", str(tmp_path / "b")], ["replay", str(run)]):
        assert main([*command, "--strict"]) == 2
        assert "--strict: this is not as it was" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_strict_refuses_to_go_on_and_writes_nothing(changed: Run) -> None:
    before = changed.run.journal_file.read_bytes()
    with pytest.raises(InputError, match="training data: was 16 samples"):
        changed.resume({}, 0.0, strict=True)
    assert main(["resume", str(changed.run.path), "--strict"]) == 2
    assert main(["audit", str(changed.run.path), "--strict"]) == 2
    assert changed.run.journal_file.read_bytes() == before


def test_the_report_shows_a_change_in_every_format(changed: Run, tmp_path: Path) -> None:
    for kind in ("html", "md", "json", "csv"):
        file = tmp_path / f"report.{kind}"
        assert main(["report", str(changed.run.path), "--format", kind, "-o", str(file)]) == 0
        text = file.read_text()
        if kind == "csv":
            rows = list(csv.DictReader(io.StringIO(text)))
            assert [row["changes"] for row in rows] == ["0", "1", "1"]
            continue
        assert "training data" in text
        assert "16 samples" in text
        if kind != "json":
            assert "Changed while the run went on: training data, validation data" in text


def test_a_built_in_model_is_exported_without_asking_the_function_that_is_its_space(
    tmp_path: Path,
) -> None:
    file, run = tmp_path / "space.py", RunFolder(tmp_path)
    file.write_text("def space(trial):\n    trial.suggest_float('lr', 1e-3, 0.1)\n")
    coordinator = examples.coordinator(tmp_path, space=f"{file}:space", budget={"trials": 3})
    examples.run_all(coordinator)
    coordinator.close()
    best = coordinator.trials.best(coordinator.experiment.metric)
    data = load_data(coordinator.experiment.dataset, 0)
    save_weights(coordinator.experiment, run, best, data)
    kept = file.read_text()
    file.write_text("raise RuntimeError('imported')\n")
    export_best(tmp_path, tmp_path / "bundle", with_programs=False)
    file.write_text(kept)  # which makes the same proposals again, after this test
    document = json.loads((tmp_path / "bundle" / "changes.json").read_text())
    assert "host" in [held["what"] for held in document["since_it_was_trained"]]


def test_data_that_is_not_there_is_told_and_not_downloaded(
    changed: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = changed.run.journal_file.read_text().splitlines()
    moved = lines[0].replace(str(changed.data), str(tmp_path / "gone"))
    (tmp_path / "journal.jsonl").write_text("\n".join([moved, *lines[1:]]) + "\n")
    examples.unchain(tmp_path / "journal.jsonl")
    main(["replay", str(tmp_path)])
    assert "data: was there, now can't be read: " in capsys.readouterr().err
    assert main(["replay", str(tmp_path), "--strict"]) == 2


def test_versions_of_a_run_are_compared_with_those_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    examples.unchain(tmp_path / "journal.jsonl")
    text = (tmp_path / "journal.jsonl").read_text()
    old = {**versions(), "torch": "1.0", "gone": "3"}
    (tmp_path / "journal.jsonl").write_text(
        text.replace('"versions":{}', f'"versions":{json.dumps(old)}')
    )
    assert main(["replay", str(tmp_path), "--json"]) == 0
    found = capsys.readouterr()
    assert f"  torch: was 1.0, now {versions()['torch']}\n  gone: was 3, now not" in found.err
    changed = json.loads(found.out)["changed"]
    assert [held["what"] for held in changed] == ["torch", "gone", "host"]


def test_a_run_of_an_earlier_version_is_not_compared_with_what_it_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    assert main(["replay", str(tmp_path), "--strict"]) == 0
    assert capsys.readouterr().err.startswith("note: another host")
    assert open_run(tmp_path)[2].changes == []
