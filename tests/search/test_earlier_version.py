"""A run that the version before the sub-packages wrote: everything still works on it.

``tests/fixtures/earlier_version`` is a search of the digits with 9 trials, confirmed and audited.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis.record.events import Created, Finished, Report
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.journal import read_journal
from search.cli.main import main
from search.lifecycle import start_search
from search.session import Host

EARLIER = Path(__file__).parents[1] / "fixtures" / "earlier_version"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(EARLIER, tmp_path / "run")
    return tmp_path / "run"


def answer(capsys: pytest.CaptureFixture[str], *command: str) -> object:
    assert main([*command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_status_and_best_tell_what_they_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = answer(capsys, "status", str(run))
    assert isinstance(status, dict)
    assert status["state"] == "finished"
    assert status["trials"]["completed"] == 5
    assert status["trials"]["stopped"] == 4
    assert status["confirmation"]["winner"]["trial"] == 4
    best = answer(capsys, "best", str(run))
    assert isinstance(best, list)
    assert best[0]["trial"] == 4
    assert best[0]["value"] == pytest.approx(0.90278, abs=1e-5)


def test_every_decision_and_proposal_is_the_same(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = answer(capsys, "replay", str(run), "--proposals")
    assert isinstance(replayed, dict)
    assert replayed["difference"] is None
    assert replayed["decisions"] > 80


def test_the_report_has_the_confirmation_and_the_audit(run: Path) -> None:
    assert main(["report", str(run), "--format", "md"]) == 0
    text = (run / "report.md").read_text()
    assert "Confirmed: 77.44 % on test" in text
    assert "stopped trials that were trained to the end beat the best" in text


def test_its_projections_can_be_written_again(run: Path) -> None:
    def log() -> list[dict[str, object]]:
        lines = (run / "optuna.log").read_text().splitlines()
        return [{**json.loads(line), "worker_id": None} for line in lines]

    before = log()
    assert main(["rebuild", str(run)]) == 0
    assert log() == before
    assert len(list((run / "tensorboard").glob("*/events*"))) >= 9


def test_its_winner_can_be_exported(run: Path, tmp_path: Path) -> None:
    assert main(["export", str(run), "-o", str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.filterwarnings("ignore:.*chain")
def test_it_can_be_extended(run: Path) -> None:
    assert main(["resume", str(run), "--trials", "2", "--engine", "inline"]) == 0
    ended = [event for event in read_journal(run / "journal.jsonl") if isinstance(event, Finished)]
    assert [event.trial for event in ended][-2:] == [9, 10]


def test_the_same_search_begins_the_same_today(run: Path, tmp_path: Path) -> None:
    """Dropout's masks are others since then, so scores are alike, and later proposals differ."""
    again = RunFolder(tmp_path / "again")
    start_search(experiment_of(RunFolder(run)), again, Host(engine="inline"))

    def begun(folder: Path) -> list[tuple[object, ...]]:
        events = read_journal(folder / "journal.jsonl")
        created = [event for event in events if isinstance(event, Created)]
        return [(event.trial, event.params, event.seed) for event in created[:2]]

    def scores(folder: Path) -> list[float]:
        events = read_journal(folder / "journal.jsonl")
        return [event.metrics["val_accuracy"] for event in events if isinstance(event, Report)]

    assert begun(again.path) == begun(run)
    assert scores(again.path)[:3] == pytest.approx(scores(run)[:3], abs=0.1)
    assert max(scores(again.path)) == pytest.approx(max(scores(run)), abs=0.1)
