"""``shoal report`` at the command line, and the report at the end of a search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder
from analysis.record.lock import locked
from search.cli.main import main
from search.cli.report import report_at_end
from tests.support import examples
from tests.support.commands import file, message


@pytest.fixture
def run(tmp_path: Path) -> Path:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 6})
    examples.run_all(coordinator)
    coordinator.close()
    return tmp_path


@pytest.mark.parametrize("kind", ["html", "md", "csv", "json"])
def test_each_format_has_its_own_file_in_the_run(
    run: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run), "--format", kind]) == 0
    assert f"{run}/report.{kind}: 6 trials" in capsys.readouterr().out
    text = (run / f"report.{kind}").read_text()
    begins = {"html": "<!DOCTYPE html>", "md": "# made: ", "csv": '"trial","state"', "json": "{"}
    assert text.startswith(begins[kind])
    assert [path.name for path in run.glob(".report*")] == []


def test_a_report_goes_where_it_is_wanted(run: Path, tmp_path: Path) -> None:
    assert main(["report", str(run), "-o", str(tmp_path / "x.json"), "--format", "json"]) == 0
    assert json.loads((tmp_path / "x.json").read_text())["states"]["running"] == 0


def test_while_another_process_searches_the_report_is_of_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator, reports=25)
    with locked(tmp_path, is_new=True):
        assert main(["report", str(tmp_path)]) == 0
    assert "The run is being written now" in (tmp_path / "report.html").read_text()
    examples.run_all(coordinator)
    coordinator.close()
    assert main(["report", str(tmp_path), "--format", "md"]) == 0
    assert "The run is being written now" not in (tmp_path / "report.md").read_text()


def test_mistakes_are_one_clear_message(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "empty").mkdir()
    examples.coordinator(run / "empty").close()
    told = message(capsys, "report", str(run / "empty"))
    assert f"{run}/empty: no trial has ended yet, so there is nothing to report" in told
    assert "is no run folder" in message(capsys, "report", str(run / "no"))
    assert "can't be written" in message(capsys, "report", str(run), "-o", "/nowhere/report.html")
    for folder in (str(run / "empty"), "", "."):
        told = message(capsys, "report", str(run), "-o", folder)
        assert "-o: must be the name of a file" in told
    told = message(capsys, "report", str(run), "--format", "pdf")
    assert "'pdf'" in told
    assert "'html', 'md', 'csv', 'json'" in told


def test_a_report_that_cant_be_written_fails_no_search(run: Path) -> None:
    coordinator = examples.resumed(run, trials=2, budget={"trials": 6})
    examples.run_all(coordinator)
    (run / "report.html").mkdir()
    with pytest.warns(UserWarning, match="report.html can't be written.*shoal report"):
        assert report_at_end(RunFolder(run), coordinator) is None
    coordinator.close()


def test_whoever_interrupts_a_search_waits_for_no_report(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator, reports=25)
    coordinator.is_interrupted = True
    assert report_at_end(RunFolder(tmp_path), coordinator) is None
    assert not (tmp_path / "report.html").exists()
    coordinator.close()


def test_a_search_ends_with_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = file(tmp_path, budget={"trials": 2}, scheduler={"max_epochs": 1}, engine="inline")
    assert main(["search", spec, "--run", str(tmp_path / "run")]) == 0
    assert f"{tmp_path}/run/report.html" in capsys.readouterr().out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "is the best found: val_accuracy" in page
    assert "The run is being written now" not in page
