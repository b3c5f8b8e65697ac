from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis.events import Created, Finished, Report
from analysis.journal import Journal, read_journal
from analysis.lock import RunLock, is_locked
from spaces.problems import InputError

pytestmark = pytest.mark.edits_journals

CREATED = Created(trial=0, params={"lr": 0.1, "norm": None, "deep": True}, seed=7)
REPORT = Report(
    trial=0, epoch=1, metrics={"loss": math.nan}, decision="stop", steps=[(50, math.inf)]
)
FINISHED = Finished(trial=0, state="diverged", epoch=1)


def written(path: Path) -> Path:
    journal = Journal(path / "journal.jsonl")
    for event in (CREATED, REPORT, FINISHED):
        journal.append(event)
    journal.close()
    return path / "journal.jsonl"


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    created, report, finished = read_journal(written(tmp_path))
    assert created.model_dump(exclude={"time"}) == CREATED.model_dump(exclude={"time"})
    assert isinstance(report, Report)
    assert math.isnan(report.metrics["loss"])
    assert created.time <= report.time <= finished.time


def test_every_line_is_one_json_object_with_event_and_time_and_null_for_nan(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in written(tmp_path).read_text().splitlines()]
    assert [line["event"] for line in lines] == ["created", "report", "finished"]
    assert all(line["time"] > 1.7e9 for line in lines)
    assert lines[1]["metrics"] == {"loss": None}
    assert lines[1]["steps"] == [[50, None]]


def test_an_event_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(CREATED)
    assert len(read_journal(tmp_path / "journal.jsonl")) == 1
    journal.close()


def test_a_torn_last_line_is_left_out_with_a_warning(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="last line is torn"):
        assert len(read_journal(file)) == 2


def test_appending_after_a_torn_line_cuts_it_off(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(UserWarning, match="last line is torn and cut off"):
        journal = Journal(file)
    journal.append(FINISHED)
    journal.close()
    assert [event.event for event in read_journal(file)] == ["created", "report", "finished"]


@pytest.mark.parametrize("line", ["{}", "nonsense", '{"event": "made-up"}', '{"event": "created"}'])
def test_a_bad_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path, line: str) -> None:
    file = written(tmp_path)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], line, lines[2]]) + "\n")
    with pytest.raises(InputError, match="line 2 is no event"):
        read_journal(file)


def test_a_missing_journal_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"journal.jsonl: cannot be read: No such file"):
        read_journal(tmp_path / "journal.jsonl")


def test_a_second_search_of_a_folder_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    lock = RunLock(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(InputError, match=r"is being searched by pid \d+ on "):
        RunLock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
    RunLock(tmp_path).release()
