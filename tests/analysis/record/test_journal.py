from __future__ import annotations

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import IO

import pytest

from analysis.record.chain import broken_link
from analysis.record.events import Created, Event, Finished, Report
from analysis.record.journal import Journal, read_journal, save_copy
from analysis.record.lock import RunLock, is_locked
from spaces.problems import InputError, RunError
from tests.support.examples import checked_journal, unchain

pytestmark = pytest.mark.edits_journals

CREATED = Created(trial=0, params={"lr": 0.1, "norm": None, "deep": True}, seed=7)
REPORT = Report(
    trial=0, epoch=1, metrics={"loss": math.nan}, decision="stop", steps=[(50, math.inf)]
)
FINISHED = Finished(trial=0, state="diverged", epoch=1)


def written(path: Path) -> Path:
    journal = checked_journal(path / "journal.jsonl")
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
    journal = checked_journal(tmp_path / "journal.jsonl")
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
        journal = checked_journal(file)
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


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        (CREATED, "trial 0 is created as number 1"),
        (REPORT.model_copy(update={"epoch": 3}), "reports epoch 3 after epoch 0"),
        (REPORT.model_copy(update={"trial": 1}), "trial 1 was never created"),
        (REPORT.model_copy(update={"epoch": -1}), "greater than or equal to 1"),
    ],
)
def test_what_a_reader_would_refuse_is_never_written(
    tmp_path: Path, event: Event, rule: str
) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    journal.append(CREATED)
    before = journal.path.read_bytes()
    with pytest.raises(InputError, match=rule):
        journal.append(event)
    assert journal.path.read_bytes() == before
    journal.append(REPORT)
    journal.close()
    assert [held.event for held in read_journal(journal.path)] == ["created", "report"]


def test_a_text_that_no_file_can_hold_is_refused_and_the_writing_goes_on(tmp_path: Path) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    with pytest.raises(InputError, match=r"can't be written: .*surrogates"):
        journal.append(CREATED.model_copy(update={"params": {"x": "\udcff"}}))
    journal.append(CREATED)
    journal.close()
    assert len(read_journal(journal.path)) == 1


def test_a_journal_that_was_removed_ends_the_writing_and_its_events_are_saved(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal-kept-1.jsonl").write_bytes(b"of an earlier time\n")
    journal = checked_journal(tmp_path / "journal.jsonl")
    journal.append(CREATED)
    written = journal.path.read_bytes()
    journal.path.unlink()
    for _ in range(2):  # and it stays so
        with pytest.raises(RunError, match="was removed during the search; its events were saved"):
            journal.append(REPORT)
    assert not journal.path.exists()
    assert (tmp_path / "journal-kept-2.jsonl").read_bytes() == written
    assert (tmp_path / "journal-kept-1.jsonl").read_bytes() == b"of an earlier time\n"


def test_where_the_whole_folder_was_removed_the_events_are_saved_beside_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    journal = checked_journal(tmp_path / "run" / "journal.jsonl")
    journal.append(CREATED)
    written = journal.path.read_bytes()
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(RunError, match=r"saved as \S+/run-journal-kept-1\.jsonl: move that to"):
        journal.append(REPORT)
    assert (tmp_path / "run-journal-kept-1.jsonl").read_bytes() == written


def test_a_journal_that_was_changed_is_gone_on_with_a_warning(tmp_path: Path) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    for trial in (0, 1):
        journal.append(CREATED.model_copy(update={"trial": trial}))
    journal.close()
    first, second = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(first.replace(b'"lr":0.1', b'"lr":0.2') + second)
    with pytest.warns(UserWarning, match="line 1 does not fit the lines before it"):
        Journal(journal.path).close()


def test_a_journal_that_was_replaced_is_left_as_it_is(tmp_path: Path) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    journal.append(CREATED)
    journal.path.unlink()
    journal.path.write_bytes(b"another\n")
    with pytest.raises(RunError, match="was replaced during the search; its events were saved"):
        journal.append(REPORT)
    assert journal.path.read_bytes() == b"another\n"


@pytest.mark.parametrize(("change", "told"), [(-5, "cut off"), (5, "written by another process")])
def test_a_journal_that_somebody_else_wrote_or_cut_is_written_no_further(
    tmp_path: Path, change: int, told: str
) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    journal.append(CREATED)
    content = (journal.path.read_bytes() + b"     ")[: journal.path.stat().st_size + change]
    with journal.path.open("r+b") as file:
        file.truncate(0)
        file.write(content)
    with pytest.raises(RunError, match=f"was {told} during the search"):
        journal.append(REPORT)
    assert journal.path.read_bytes() == content


def test_a_clock_that_is_set_meanwhile_changes_no_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    first = journal.append(CREATED).time
    for hours in (-1, 1):
        set_to = time.time() + 3600 * hours
        monkeypatch.setattr("time.time", lambda now=set_to: now)
        assert 0.0 <= journal.now() - first < 60.0
    assert 0.0 <= journal.append(REPORT).time - first < 60.0


@pytest.mark.parametrize("kind", ["changed", "removed", "added", "moved", "doubled"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_chain_finds_where_a_line_was_changed(tmp_path: Path, kind: str, place: int) -> None:
    file = written(tmp_path)
    checked_journal(file).close()  # going on changes nothing
    assert broken_link(file) is None
    lines = file.read_text().splitlines(keepends=True)
    if kind == "changed":
        lines[place] = lines[place].replace('"trial":0', '"trial":1')
    elif kind == "added":
        lines.insert(place + 1, FINISHED.model_dump_json() + "\n")
    elif kind == "doubled":
        lines.insert(place, lines[place])
    else:
        line = lines.pop(place)
        if kind == "moved":
            lines.insert((place + 1) % 3, line)
    file.write_text("".join(lines))
    found = broken_link(file)
    if kind == "removed" and place == 2:  # the end of a journal can be cut off
        assert found is None
    else:
        first = {"added": place + 2, "doubled": place + 2}.get(kind, place + 1)
        assert found == (1 if kind == "moved" and place == 2 else first)


def test_a_journal_of_an_earlier_version_is_sealed_by_what_is_written_after_it(
    tmp_path: Path,
) -> None:
    file = written(tmp_path)
    unchain(file)
    assert broken_link(file) is None
    journal = checked_journal(file)
    journal.append(CREATED.model_copy(update={"trial": 1}))
    journal.close()
    assert broken_link(file) is None
    file.write_bytes(file.read_bytes().replace(b'"seed":7', b'"seed":8', 1))
    assert broken_link(file) == 4


def test_a_second_search_of_a_folder_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    lock = RunLock(tmp_path, is_new=True)
    assert is_locked(tmp_path)
    with pytest.raises(InputError, match=r"is being searched by pid \d+ on "):
        RunLock(tmp_path)
    (tmp_path / "lock").unlink()  # which says who searches, no more
    with pytest.raises(InputError, match="is being searched by another process"):
        RunLock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
    RunLock(tmp_path).release()


def test_a_folder_without_a_journal_is_not_locked_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run folder: it has no journal"):
        RunLock(tmp_path)
    assert not list(tmp_path.iterdir())


class _Interrupted:
    """A file to which Ctrl-C comes before, in the midst of, or after a write."""

    def __init__(self, file: IO[bytes], written: int | None) -> None:
        self._file = file
        self._written = written

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, line: bytes) -> int:
        self._file.write(line[: self._written])
        raise KeyboardInterrupt


@pytest.mark.parametrize("written", [0, 20, None])
def test_a_write_that_ctrl_c_comes_to_leaves_no_trace_and_the_chain_goes_on(
    written: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = checked_journal(tmp_path / "journal.jsonl")
    events = [Created(trial=n, params={"x": 0.5}, seed=n) for n in range(3)]
    journal.append(events[0])
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_file", _Interrupted(journal._file, written))
        with pytest.raises(KeyboardInterrupt):
            journal.append(events[1])
    journal.append(events[2])
    journal.close()
    assert [event.seed for event in read_journal(journal.path)] == [0, 2]  # type: ignore[union-attr]
    assert broken_link(journal.path) is None


def test_a_copy_of_a_journal_is_whole_when_it_is_brought_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "journal.jsonl"
    place.write_bytes(b"an event\n")
    sizes: list[int] = []
    monkeypatch.setattr("os.fsync", lambda file: sizes.append(os.fstat(file).st_size))
    with place.open("rb") as journal:
        copy = save_copy(journal, place, "kept")
    assert sizes == [copy.stat().st_size] == [place.stat().st_size]
