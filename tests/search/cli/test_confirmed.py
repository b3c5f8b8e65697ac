"""Commands that know what a confirmation found, and a trial that is exported by its number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from analysis.record.events import Confirmed
from analysis.record.folder import RunFolder, open_run
from analysis.record.lock import locked
from search.cli.main import main
from search.tools.tensorboard_server import make_view, refresh, shown_trials
from tests.support import examples
from tests.support.commands import message
from trainables.checkpoints.checkpoints import Checkpoints

CODE = "def train(config, context):\n    yield {'score': config['x']}\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of own code: trial 0 is the baseline, 1 has diverged, 2 to 5 are ever better."""
    (tmp_path / "own.py").write_text(CODE)
    run = tmp_path / "run"
    run.mkdir()
    coordinator = examples.own_code_coordinator(
        tmp_path,
        run,
        baseline={"x": 0.5},
        metric={"name": "score", "mode": "max"},
        scheduler={"name": "none", "max_epochs": 2},
        budget={"trials": 6},
    )
    for number in range(6):
        trial = coordinator.next_trial()
        assert trial is not None
        for epoch in (1, 2):
            value = float("nan") if number == 1 else number / 10 + epoch / 100
            if coordinator.report(number, epoch, {"score": value}) == "stop":
                break
        state = {"epoch": trial.epoch, "state": {"weight": number}, "kept": None}
        saved = {"training": state, "reports": []}
        Checkpoints(str(run / "checkpoints"), number).save(trial.epoch, saved)
    coordinator.close()
    return run


def confirmed(run: Path) -> Path:
    """The same run, confirmed: trial 4 won over trial 5."""
    _, _, trials = open_run(run)
    journal = examples.checked_journal(run / "journal.jsonl")
    journal.append(
        Confirmed(
            winner=4,
            params=trials.by_number[4].params,
            seeds=[11, 12, 13],
            scores=[0.41, 0.42, 0.43],
            baseline_scores=[0.01, 0.02, 0.03],
            candidates=[5, 4],
            most_seeds=3,
        )
    )
    journal.close()
    return run


@pytest.mark.edits_journals
def test_best_tells_what_a_confirmation_found(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", str(run), "--json"]) == 0
    assert {row["confirmed"] for row in json.loads(capsys.readouterr().out)} == {None}
    assert main(["best", str(run)]) == 0
    assert "fresh" not in capsys.readouterr().out
    confirmed(run)
    assert main(["best", str(run), "--json"]) == 0
    rows = {row["trial"]: row["confirmed"] for row in json.loads(capsys.readouterr().out)}
    assert rows[4]["role"] == "winner"
    assert rows[4]["mean"] == pytest.approx(0.42)
    assert rows[4]["low"] < 0.42 < rows[4]["high"]
    assert rows[0]["role"] == "baseline"
    assert rows[0]["n"] == 3
    assert rows[5]["role"] != "winner"
    assert rows[3] is None
    assert main(["best", str(run)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "under fresh seeds" in shown
    assert "trial 4: Confirmed: " in shown


@pytest.mark.edits_journals
def test_status_as_json_has_the_confirmation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["confirmation"] is None
    confirmed(run)
    assert main(["status", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["confirmation"]
    assert found["winner"]["trial"] == 4
    assert found["sentence"].startswith("Confirmed: ")


@pytest.mark.edits_journals
def test_a_trial_is_exported_by_its_number_with_its_own_weights(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    confirmed(run)
    assert main(["export", str(run), "-o", str(tmp_path / "b"), "--trial", "3"]) == 0
    _, _, trials = open_run(run)
    config = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    assert config["settings"] == trials.by_number[3].params
    assert config["seed"] == trials.by_number[3].seed
    assert json.loads((tmp_path / "b" / "metrics.json").read_text())["value"] == 0.32
    assert not (tmp_path / "b" / "confirmation.json").exists()
    assert "This is trial 3, completed, as it was asked for" in (
        (tmp_path / "b" / "README.md").read_text()
    )
    verdict = "Confirmed: "  # is of trial 4
    assert verdict not in (tmp_path / "b" / "README.md").read_text() + capsys.readouterr().out
    assert main(["export", str(run), "-o", str(tmp_path / "d"), "--trial", "4"]) == 0
    assert verdict in (tmp_path / "d" / "README.md").read_text()
    assert verdict in capsys.readouterr().out
    told = message(capsys, "export", str(run), "-o", str(tmp_path / "c"), "--trial", "6")
    assert "--trial: the run has no trial 6; its trials are 0 to 5" in told
    told = message(capsys, "export", str(run), "-o", str(tmp_path / "c"), "--trial", "1")
    assert "--trial: trial 1 has no value to export: it is diverged" in told
    Checkpoints(str(run / "checkpoints"), 2).delete()
    told = message(capsys, "export", str(run), "-o", str(tmp_path / "c"), "--trial", "2")
    assert "trial 2 has no whole checkpoint of epoch 2 any more" in told
    assert not (tmp_path / "c").exists()


def test_tensorboard_shows_the_best_the_baseline_and_what_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(
        tmp_path, baseline={"lr": 0.01, "activation": "relu"}, budget={"trials": 40}
    )
    examples.run_all(coordinator, reports=60)
    trials, experiment = coordinator.trials, coordinator.experiment
    shown = shown_trials(experiment, trials, 3)
    assert shown[:3] == [trial.number for trial in trials.ranked(experiment.metric)[:3]]
    assert set(shown) == {*shown[:3], 0, *trials.running}
    assert trials.running
    for number in trials.by_number:
        (tmp_path / "tensorboard" / str(number)).mkdir(parents=True)
        (tmp_path / "tensorboard" / str(number) / "events.x").write_text("")
    view = tmp_path / "tensorboard-top3"
    make_view(RunFolder(tmp_path), view, 3)
    assert {int(held.name) for held in view.iterdir() if held.is_dir()} == set(shown)
    examples.run_all(coordinator)  # goes on with new trials; the view follows while it is searched
    assert refresh(RunFolder(tmp_path), view, 3, was_live=True) is False  # nobody holds the lock
    now = shown_trials(experiment, trials, 3)
    assert {int(held.name) for held in view.iterdir() if held.is_dir()} <= set(now)
    assert refresh(RunFolder(tmp_path / "gone"), view, 3, was_live=True) is True  # it may pass
    with locked(tmp_path):  # as by a resume
        assert refresh(RunFolder(tmp_path), view, 3, was_live=False) is True
    coordinator.close()
    told = message(capsys, "tensorboard", str(tmp_path), "--top", "3", "--all")
    assert "--top and --all cannot be used together" in told
