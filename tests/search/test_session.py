"""One session: what stands on the disk and in memory whenever and however it ends."""

from __future__ import annotations

import io
import json
import random
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Ended, Resumed
from analysis.record.folder import RunFolder, newest_run
from analysis.record.journal import Journal, read_journal
from search.cli.main import main
from search.control.view import Silent
from search.lifecycle import resume_search, start_search
from search.rerun.replay import replay_run
from search.session import Host
from search.transport.inline import Inline
from spaces.experiment import Experiment
from spaces.problems import InputError, RunError
from tests.support import examples, inline

DRAWS = """
import random

def train(config, context):
    for epoch in range(context.epoch, context.max_epochs):
        yield {"score": random.random()}
"""
PRINTS = """
import sys

kept = []  # the stream of the first trial

def train(config, context):
    for epoch in range(context.epoch, context.max_epochs):
        print("epoch", epoch, "of", context.trial)
        kept.append(sys.stdout)
        kept[0].write("kept\\n")
        yield {"score": 0.5}
"""


def own(folder: Path, code: str, trials: int = 2, epochs: int = 3, **changes: Any) -> Experiment:
    (folder / "own.py").write_text(code)
    limits = {"scheduler": {"name": "none", "max_epochs": epochs}, "budget": {"trials": trials}}
    return examples.own_code_experiment(folder, **{**limits, **changes})


def test_code_that_keeps_a_stream_prints_in_every_trial_and_in_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stdout", shown)
    run = RunFolder(tmp_path / "run")
    coordinator = start_search(own(tmp_path, PRINTS, trials=3), run, inline.host())
    assert coordinator.trials.counts()["completed"] == 3
    assert sys.stdout is shown
    for number in range(3):
        log = run.log_file(number).read_text()
        assert log.count(f"of {number}\n") == 3
        assert f"epoch 2 of {number}" in shown.getvalue()
    assert "kept" in run.log_file(2).read_text()


def test_trainings_that_take_turns_draw_what_each_would_draw_alone(tmp_path: Path) -> None:
    random.seed(5)
    before = random.getstate()

    def latest(running: Sequence[int]) -> int:
        return running[-1]

    scores = []
    for name, transport in (("alone", Inline()), ("in turn", Inline(2, latest))):
        run = RunFolder(tmp_path / name)
        found = start_search(own(tmp_path, DRAWS), run, Host(view=Silent(), transport=transport))
        scores.append([[report.metrics["score"] for report in t.reports] for t in found.trials])
    assert scores[0] == scores[1]
    assert random.getstate() == before


class Refusing(Inline):
    """A transport that can't start."""

    def opened(self, experiment: Experiment, view: object, data: object) -> Any:
        raise InputError("nothing runs here")


@pytest.mark.parametrize(
    "host",
    [Host(engine="inline", address="auto"), Host(view=Silent(), transport=Refusing())],
    ids=["refused", "not started"],
)
def test_a_start_that_fails_leaves_nothing(tmp_path: Path, host: Host) -> None:
    with pytest.raises(InputError):
        start_search(own(tmp_path, DRAWS), RunFolder(tmp_path / "run"), host)
    assert not (tmp_path / "run").exists()


@pytest.mark.edits_journals
def test_a_new_run_whose_journal_is_removed_keeps_its_other_files(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")

    def removing(running: Sequence[int]) -> int:
        run.journal_file.unlink(missing_ok=True)
        return running[0]

    host = Host(view=Silent(), transport=Inline(choose=removing))
    with pytest.raises(RunError, match="was removed during the search; its events were saved"):
        start_search(own(tmp_path, DRAWS), run, host)
    assert run.experiment_file.exists()
    (run.path / "journal-kept-1.jsonl").rename(run.journal_file)
    assert inline.resumed(run).trials.counts()["completed"] == 2


@pytest.mark.edits_journals
def test_a_run_that_is_about_to_begin_is_not_the_newest(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "journal.jsonl").write_text(examples.created_line(0))
    for beginning in ("", examples.created_line(0)[:20]):  # a power failure may tear the first line
        (tmp_path / "new" / "journal.jsonl").write_text(beginning)
        assert newest_run(tmp_path).name == "old"


def test_a_resume_that_fails_extends_no_budget(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    start_search(own(tmp_path, DRAWS), run, inline.host())
    (run.path / "optuna.log").unlink()
    (run.path / "optuna.log").mkdir()  # it can't be written
    for _ in range(2):
        with pytest.raises((RunError, InputError)):
            resume_search(run, trials=2, host=inline.host())
    (run.path / "optuna.log").rmdir()
    coordinator = resume_search(run, trials=2, host=inline.host())
    assert len(coordinator.trials) == 4
    resumed = [event for event in read_journal(run.journal_file) if isinstance(event, Resumed)]
    assert [event.budget["trials"] for event in resumed] == [4]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interruption_while_an_event_is_written_leaves_a_sound_journal(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = Journal._write_whole, iter(range(6))

    def write(self: Journal, body: bytes) -> None:
        is_now = next(left, None) is None
        if is_now and moment == "before":
            monkeypatch.setattr(Journal, "_write_whole", whole)
            raise KeyboardInterrupt
        whole(self, body)
        if is_now:
            monkeypatch.setattr(Journal, "_write_whole", whole)
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "_write_whole", write)
    experiment, run = own(tmp_path, DRAWS), RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        start_search(experiment, run, inline.host())
    last = read_journal(run.journal_file)[-1]
    assert isinstance(last, Ended)
    assert last.reason == "interrupted"
    assert replay_run(run, experiment).difference is None
    assert inline.resumed(run).trials.counts()["completed"] == 2


def test_a_session_in_a_thread_works_and_touches_no_signal_handler(tmp_path: Path) -> None:
    experiment, found = own(tmp_path, DRAWS), []

    def search() -> None:
        with suppress(Exception):
            found.append(start_search(experiment, RunFolder(tmp_path / "run"), inline.host()))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(60)
    assert found[0].trials.counts()["completed"] == 2


def test_json_of_a_confirmation_is_one_document_whatever_the_code_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    code = DRAWS.replace("yield", "print('epoch', epoch)\n        yield")
    start_search(own(tmp_path, code, trials=3), run, inline.host())
    capsys.readouterr()
    confirm = ["confirm", str(run.path), "--top", "2", "--seeds", "2", "--engine", "inline"]
    main([*confirm, "--json"])
    out, err = capsys.readouterr()
    assert out, err
    assert json.loads(out)["run"] == str(run.path)
    assert "epoch 0" in err


def test_code_that_exits_while_it_is_closed_ends_no_search(tmp_path: Path) -> None:
    code = (
        "import sys\n\ndef train(config, context):\n    try:\n        while True:\n"
        "            yield {'score': 0.5}\n    finally:\n        sys.exit(3)\n"
    )
    coordinator = start_search(own(tmp_path, code), RunFolder(tmp_path / "run"), inline.host())
    assert coordinator.trials.counts()["completed"] == 2
