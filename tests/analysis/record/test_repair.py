"""``shoal repair``: what can be kept of a damaged journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from analysis.record.events import Created, Started
from analysis.record.journal import read_journal
from analysis.record.lock import RunLock
from search.cli.main import main
from tests.support import examples

pytestmark = pytest.mark.edits_journals


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of 12 trials that ended."""
    folder = tmp_path / "run"
    folder.mkdir()
    coordinator = examples.coordinator(folder)
    examples.run_all(coordinator)
    coordinator.close()
    return folder


def damage(run: Path, number: int, line: str) -> bytes:
    """Put a line in the place of the ``number``-th; returns the whole journal."""
    file = run / "journal.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[number - 1] = line
    file.write_text("".join(lines))
    return file.read_bytes()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense\n", "line 9 is no event"),
        (examples.created_line(40), "line 9 does not fit: trial 40 is created as number"),
        (examples.created_line(2).replace("relu", "cosine"), "line 9 does not fit"),
    ],
)
def test_a_line_that_no_reader_takes_is_cut_off_and_the_search_goes_on(
    run: Path, line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = damage(run, 9, line)
    assert main(["replay", str(run)]) in (1, 2)
    assert main(["rebuild", str(run)]) == 2
    assert f"before it: shoal repair {run}" in capsys.readouterr().err
    assert main(["repair", str(run)]) == 0
    told = capsys.readouterr().out
    assert problem in told
    assert "kept the 8 lines before it" in told
    assert (run / "journal-damaged-1.jsonl").read_bytes() == damaged
    assert len(read_journal(run / "journal.jsonl")) == 8
    again = examples.resumed(run)
    examples.run_all(again)
    again.close()
    assert len(again.trials) == 12
    assert main(["replay", str(run)]) == 0
    assert main(["repair", str(run)]) == 0
    assert "lines of the journal are valid" in capsys.readouterr().out


def test_a_second_repair_keeps_the_original_of_the_first(run: Path) -> None:
    first = damage(run, 20, "{}\n")
    assert main(["repair", str(run)]) == 0
    second = damage(run, 10, "{}\n")
    assert main(["repair", str(run)]) == 0
    assert (run / "journal-damaged-1.jsonl").read_bytes() == first
    assert (run / "journal-damaged-2.jsonl").read_bytes() == second


def test_repair_refuses_what_readers_of_a_function_as_space_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"name": "own", "trainable": "own.py:train", "space": "own.py:space"}
    run = tmp_path / "run"
    run.mkdir()
    journal = examples.checked_journal(run / "journal.jsonl")
    journal.append(Started(spec={**spec, "metric": {"name": "score"}}, versions={}, host="here"))
    for number, held in enumerate([FloatDistribution(0, 1), IntDistribution(0, 1)]):
        journal.append(Created(trial=number, params={"x": 1}, seed=0, distributions={"x": held}))
    journal.close()
    assert main(["status", str(run)]) == 2
    assert "line 3 does not fit: x is drawn from Int" in capsys.readouterr().err
    assert main(["repair", str(run)]) == 0
    assert "kept the 2 lines before it" in capsys.readouterr().out
    assert main(["status", str(run)]) == 0


def test_nothing_can_be_kept_where_the_first_line_is_damaged(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = damage(run, 1, "{}\n")
    assert main(["repair", str(run)]) == 2
    assert "line 1 is no event" in capsys.readouterr().err
    assert (run / "journal.jsonl").read_bytes() == damaged


def test_a_run_that_is_being_searched_and_a_folder_without_a_run_are_left_alone(
    run: Path, tmp_path: Path
) -> None:
    lock = RunLock(run)
    assert main(["repair", str(run)]) == 2
    lock.release()
    (tmp_path / "empty").mkdir()
    assert main(["repair", str(tmp_path / "empty")]) == 2
    assert not list((tmp_path / "empty").iterdir())
