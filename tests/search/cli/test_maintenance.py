"""rebuild, replay, clean and doctor."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import re
import shutil
from pathlib import Path
from typing import Any, NoReturn

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.record import events
from analysis.record.events import EVENT, Created, Ended, Event, Finished, Report
from analysis.record.journal import read_journal
from analysis.record.lock import RunLock
from search.cli.main import main
from search.tools import doctor
from search.tools.doctor import examine
from search.tools.on_node import look_around
from tests.support import examples
from trainables.checkpoints.checkpoints import Checkpoints


def searched(folder: Path, **changes: Any) -> Path:
    """A run of 12 trials that ended, with a checkpoint of each trial's last epoch."""
    folder.mkdir()
    coordinator = examples.coordinator(folder, **changes)
    examples.run_all(coordinator)
    coordinator.close()
    for trial in coordinator.trials:
        Checkpoints(str(folder / "checkpoints"), trial.number).save(trial.epoch, {"epoch": 1})
    return folder


def edit(run: Path, kind: type[Event], number: int, **changes: Any) -> None:
    """Change the ``number``-th event of a kind in a journal."""
    events = read_journal(run / "journal.jsonl")
    place = [place for place, event in enumerate(events) if isinstance(event, kind)][number]
    events[place] = EVENT.validate_python(events[place].model_copy(update=changes).model_dump())
    (run / "journal.jsonl").write_text("".join(e.model_dump_json() + "\n" for e in events))
    examples.unchain(run / "journal.jsonl")


def optuna_trials(run: Path, name: str) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(run / "optuna.log")))
    return optuna.load_study(study_name=name, storage=storage).trials


def test_rebuild_writes_what_was_lost_again(tmp_path: Path) -> None:
    run = searched(tmp_path / "run")
    assert main(["rebuild", str(run)]) == 0
    before = optuna_trials(run, "made")
    boards = sorted(path.name for path in (run / "tensorboard").iterdir() if path.is_dir())
    shutil.rmtree(run / "tensorboard")
    (run / "optuna.log").write_bytes(b"torn")
    assert main(["rebuild", str(run)]) == 0
    assert optuna_trials(run, "made") == before
    assert len(before) == 12
    assert boards == sorted(path.name for path in (run / "tensorboard").iterdir() if path.is_dir())


@pytest.mark.parametrize("command", ["rebuild", "clean"])
def test_a_run_that_is_being_searched_is_left_alone(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    lock = RunLock(run)
    assert main([command, str(run)]) == 2
    assert "is being searched by pid" in capsys.readouterr().err
    lock.release()


@pytest.mark.parametrize("flags", [[], ["--proposals"]])
def test_replay_finds_every_decision_the_same(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    assert main(["replay", str(run), "--json", *flags]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert replayed["difference"] is None
    assert replayed["decisions"] > 36


@pytest.mark.edits_journals
@pytest.mark.parametrize(
    ("kind", "number", "changes", "message"),
    [
        (Report, 0, {"decision": "stop"}, "the decision on trial 0 at epoch 1 was 'stop', and is"),
        (Created, 3, {"seed": 1}, "the seed of trial 3 was 1, and is"),
        (Finished, 0, {"state": "diverged"}, "the state of trial 0 was 'diverged', and is"),
        (Finished, 0, {"epoch": 8}, "the last epoch of trial 0 was 8, and is 9"),
        (Ended, 0, {"reason": "epochs"}, "the search ended by epochs, a limit that was not"),
    ],
)
def test_replay_names_the_first_decision_that_differs(
    kind: type[Event],
    number: int,
    changes: dict[str, Any],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = searched(tmp_path / "run")
    edit(run, kind, number, **changes)
    assert main(["replay", str(run)]) == 1
    assert message in capsys.readouterr().out


@pytest.mark.edits_journals
def test_replay_finds_that_the_last_reports_of_a_completed_trial_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    examples.unchain(run / "journal.jsonl")  # as in journals of earlier versions
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    cut = [at for at in lines if '"report"' in at and '"trial":0,' in at and '"epoch":9' in at]
    assert len(cut) == 1
    lines.remove(cut[0])
    (run / "journal.jsonl").write_text("".join(lines))
    assert main(["replay", str(run)]) == 1
    assert "the state of trial 0 was 'completed', and is 'failed'" in capsys.readouterr().out


@pytest.mark.edits_journals
def test_replay_finds_a_reading_of_the_test_split_that_follows_from_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    examples.unchain(run / "journal.jsonl")
    forged = events.Tested(trial=3, metric="test_accuracy", seeds=[1, 2], scores=[0.99, 0.98])
    with (run / "journal.jsonl").open("a") as file:
        file.write(forged.model_dump_json() + "\n")
    assert main(["replay", str(run)]) == 1
    assert "trial 3 was tested, which no confirmation had measured" in capsys.readouterr().out


@pytest.mark.edits_journals
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"batch_size":64', '"batch_size":32'),
        ('"val_accuracy":', '"val_accuracy":1'),
        ('"reason":"trials"', '"reason":"interrupted"'),
    ],
)
def test_replay_finds_any_changed_line(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    place = max(at for at, line in enumerate(lines) if old in line)
    lines[place] = lines[place].replace(old, new)
    (run / "journal.jsonl").write_text("".join(lines))
    assert main(["replay", str(run)]) == 1
    assert f"line {place + 1} does not fit the lines before it" in capsys.readouterr().out


@pytest.mark.edits_journals
def test_repair_tells_a_change_that_replay_finds_and_cuts_nothing_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    text = (run / "journal.jsonl").read_text().replace('"train_loss":1.0', '"train_loss":2.0', 1)
    (run / "journal.jsonl").write_text(text)
    assert main(["repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "lines of the journal can be read, but\nline " in out
    assert "nothing was cut off" in out
    assert (run / "journal.jsonl").read_text() == text


@pytest.mark.edits_journals
def test_replay_finds_that_all_hashes_were_taken_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    text = (run / "journal.jsonl").read_text()
    (run / "journal.jsonl").write_text(re.sub(r',"chain":"\w+"', "", text))
    assert main(["replay", str(run)]) == 1
    assert "line 1 does not fit the lines before it" in capsys.readouterr().out


@pytest.mark.edits_journals
def test_replay_with_proposals_names_a_configuration_that_the_sampler_would_not_propose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    edit(run, Created, 4, params={"lr": 0.5, "activation": "relu"})
    main(["replay", str(run), "--proposals"])
    assert "the configuration of trial 4 was {'lr': 0.5" in capsys.readouterr().out


@pytest.mark.edits_journals
def test_replay_names_a_trial_that_was_begun_after_the_budget_was_spent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    examples.unchain(run / "journal.jsonl")
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    lines.insert(-1, examples.created_line(12))
    (run / "journal.jsonl").write_text("".join(lines))
    assert main(["replay", str(run)]) == 1
    assert "limits spent before trial 12 was [], and is ['trials']" in capsys.readouterr().out


def test_clean_keeps_the_best_and_the_unfinished_and_removes_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    coordinator = examples.coordinator(folder)
    examples.run_all(coordinator, reports=25)
    for number in coordinator.trials.by_number:
        Checkpoints(str(folder / "checkpoints"), number).save(1, {"epoch": 1})
    running = set(coordinator.trials.running)
    best = {t.number for t in coordinator.trials.ranked(coordinator.experiment.metric)[:2]}
    assert main(["clean", str(folder), "--top", "2"]) == 0
    left = {int(path.parent.name) for path in (folder / "checkpoints").rglob("*.pt")}
    assert left == running | best
    assert len(left) < len(coordinator.trials)
    removed = len(coordinator.trials) - len(left)
    assert f"the checkpoints of {removed} trainings" in capsys.readouterr().out


def test_a_dry_run_of_clean_says_what_would_go_and_removes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path / "run")
    before = sorted((run / "checkpoints").rglob("*"))
    lock = RunLock(run)  # it may be asked while the run is searched
    assert main(["clean", str(run), "--top", "2", "--dry-run"]) == 0
    lock.release()
    told = capsys.readouterr().out
    assert "would remove" in told
    assert sorted((run / "checkpoints").rglob("*")) == before
    assert main(["clean", str(run), "--top", "2"]) == 0
    assert capsys.readouterr().out == told.replace("would remove", "removed").replace(
        "would keep", "kept"
    )


@pytest.mark.usefixtures("local_ray")
def test_doctor_finds_nothing_wrong_here_but_for_the_made_up_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["doctor", "quickstart", "--set", "resources.gpus=0", "--json"])
    findings = json.loads(capsys.readouterr().out)
    kinds = {finding["what"].split()[0] for finding in findings}
    assert {"python", "torch", "ray", "run", "dataset", "storage", "node", "resources"} <= kinds
    faults = [finding["message"] for finding in findings if finding["verdict"] == "fault"]
    assert all("sees none of its 4 GPUs: install a CUDA build" in fault for fault in faults)
    assert code == bool(faults)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("local_ray")
def test_doctor_tells_a_storage_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    arguments = ["--set", "resources.gpus=0", "--set", f"storage={tmp_path}/file/deeper"]
    assert main(["doctor", "quickstart", *arguments]) == 1
    assert "fault    storage" in capsys.readouterr().out


@pytest.mark.usefixtures("local_ray")
def test_doctor_tells_code_that_the_nodes_cannot_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(
        "import os\nif 'RAY_RAYLET_PID' in os.environ: import not_there\n"
        "def train(config, context):\n    yield {'score': 1.0}\n"
    )
    file = tmp_path / "own.yaml"
    plain = examples.own_code_experiment(tmp_path).plain()
    file.write_text(json.dumps({**plain, "resources": {"gpus": 0}}))
    assert main(["doctor", str(file)]) == 1
    assert "can't import your code" in capsys.readouterr().out


def test_doctor_goes_on_after_mistakes_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("name: bad\nsampler: {name: tpee}\n")
    assert main(["doctor", "bad.yaml", "--address", "127.0.0.1:9"]) == 1
    out = capsys.readouterr().out
    assert "fault    experiment: bad.yaml: " in out
    assert "fault    ray: " in out


def test_doctor_goes_on_where_shoal_is_on_the_path_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", nothing)
    python, shoal = doctor._packages()
    assert python.verdict == "ok"
    assert (shoal.verdict, shoal.what) == ("warning", "shoal")


@pytest.mark.parametrize("address", ["", "localhost", "localhost:abc", ":6379", "a:0"])
def test_an_address_that_is_none_is_told(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--address", address]) == 1
    told = f"fault    ray: --address: must be auto or host:port, got {address!r}"
    assert told in capsys.readouterr().out


def test_a_node_that_does_not_see_the_storage_says_so(tmp_path: Path) -> None:
    seen = look_around(str(tmp_path / "elsewhere"), "token", None)
    assert "does not see" in seen["faults"][0]
    assert "set storage: to a folder that every node sees" in seen["faults"][0]


def test_doctor_tells_an_address_where_nothing_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--address", "127.0.0.1:9"]) == 1
    assert "fault    ray: --address: nothing answers at 127.0.0.1:9" in capsys.readouterr().out


def test_the_doctor_leaves_nothing_of_a_file_that_was_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(place: str, token: str, shown: str) -> NoReturn:
        (Path(place) / token).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.tools.doctor._write_probe", full)
    monkeypatch.setattr("search.tools.doctor._on_ray", lambda *_: iter(()))
    found = [finding for finding in examine(None, [], None) if "No space left" in finding.message]
    assert [finding.verdict for finding in found] == ["fault"]
    assert list(tmp_path.iterdir()) == []
