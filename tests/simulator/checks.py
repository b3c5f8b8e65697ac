"""What holds of every history."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.record.events import Attempt, Created, Decision, Event, Finished, Report, Resumed
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from analysis.views.projection import open_projections
from search.control.dispatcher import Dispatcher
from search.rerun.replay import replay_run
from tests.simulator.workers import Curve
from tests.support.invariants import check_optuna_log
from trainables.worker.messages import Assignment, Outcome


class Witness:
    """Remembers what the driver told the world, which the journal must explain.

    ``answers``: whether a trial was to go on after an epoch. ``given``: the seed and the settings
    with which it was handed out.
    """

    def __init__(self) -> None:
        self.answers: dict[tuple[int, int], Decision] = {}
        self.given: dict[int, tuple[int, Any]] = {}
        self._take = Dispatcher.take
        self._assign = Dispatcher.assignment

    def take(self, dispatcher: Dispatcher, number: int, outcome: Outcome) -> Decision:
        """As ``Dispatcher.take``."""
        decision = self._take(dispatcher, number, outcome)
        if outcome.report is not None and "score" in outcome.report.metrics:
            self.answers[number, outcome.report.epoch] = decision
        return decision

    def assignment(self, dispatcher: Dispatcher, trial: Any) -> Assignment | None:
        """As ``Dispatcher.assignment``."""
        given = self._assign(dispatcher, trial)
        if given is not None:
            self.given[given.trial] = given.config["seed"], given.config["settings"]
        return given

    def check(self, events: Sequence[Event]) -> None:
        """See that the journal has all that was acted on."""
        trials = Trials(events)
        for (number, epoch), decision in self.answers.items():
            assert number in trials.by_number, f"trial {number} is not in the journal"
            trial = trials.by_number[number]
            if decision == "continue":
                assert epoch <= trial.epoch, f"trial {number}: the report of epoch {epoch} is gone"
                held = trial.reports[epoch - 1].decision
                goes_on = trial.epoch > epoch or not trial.is_waiting
                assert held == "continue" or (held == "pause" and goes_on)
            elif not trial.has_waited:  # one that waits is told to stop whatever it sends again
                assert trial.state != "running", f"trial {number} was stopped, and runs"
        for number, (seed, params) in self.given.items():
            held = trials.by_number[number]
            assert (held.seed, held.params) == (seed, params), f"trial {number} is another one"

    def forget_beyond(self, events: Sequence[Event]) -> None:
        """The power failed, and with it went what the journal does not have."""
        trials = Trials(events)
        for number, epoch in list(self.answers):
            held = trials.by_number.get(number)
            if held is None or epoch > held.epoch or held.state == "running":
                del self.answers[number, epoch]
        self.given = {n: held for n, held in self.given.items() if n in trials.by_number}


def events_in(run: Path) -> list[Event]:
    """The events of a run, none where it has no journal."""
    file = run / "journal.jsonl"
    return read_journal(file) if file.exists() else []


def check_journal(run: Path, habits: Mapping[str, Any], proposals: bool) -> None:
    """Every decision follows from what stood before it, and every score from its trial.

    Args:
        run: its folder.
        habits: of the code.
        proposals: whether the sampler proposes all once more, too, which takes the most time.
    """
    events = events_in(run)
    experiment = experiment_of(RunFolder(run))
    replayed = replay_run(RunFolder(run), experiment, proposals)
    assert replayed.difference is None, replayed.difference
    reports = Counter((e.trial, e.epoch) for e in events if isinstance(e, Report))
    assert set(reports.values()) <= {1}, "a report stands there twice"
    ends = Counter(event.trial for event in events if isinstance(event, Finished))
    assert set(ends.values()) <= {1}, "a trial ended twice"
    attempts = Counter(event.trial for event in events if isinstance(event, Attempt))
    assert max(attempts.values(), default=0) <= experiment.max_failures
    params = {event.trial: event for event in events if isinstance(event, Created)}
    curves = {n: Curve(held.params, held.seed, habits) for n, held in params.items()}
    for event in events:
        if isinstance(event, Report):
            expected = curves[event.trial].metrics(event.epoch)
            shown = {name: v if math.isfinite(v) else None for name, v in expected.items()}
            held = {name: v if math.isfinite(v) else None for name, v in event.metrics.items()}
            assert held == shown, f"trial {event.trial}, epoch {event.epoch}: {held}"


def check_all_ended(run: Path) -> None:
    """The run is finished: no trial runs, unless a limit has cut it off."""
    events = events_in(run)
    trials = Trials(events)
    assert trials.ended is not None, "no end was written"
    reason = trials.ended.reason
    assert reason not in ("error", "interrupted"), f"ended by {reason}"
    budget = experiment_of(RunFolder(run)).budget
    if (budget.epochs, budget.hours, budget.target) == (None, None, None):
        assert not trials.running, f"still running: {sorted(trials.running)}"
    assert sum(isinstance(event, Resumed) for event in events) < 40


def check_views(run: Path, spare: Path) -> None:
    """TensorBoard's files and optuna.log say what they say when they are made afresh."""
    spare.mkdir()
    try:
        shutil.copy(run / "journal.jsonl", spare)
        for view in open_projections(RunFolder(spare), experiment_of(RunFolder(run))):
            view.close()
        if not Trials(events_in(run)).running:
            check_optuna_log(run)
        assert _optuna_lines(run) == _optuna_lines(spare), "optuna.log differs from a rebuild"
        assert _records(run) == _records(spare), "tensorboard/ differs from a rebuild"
    finally:
        shutil.rmtree(spare)


def _optuna_lines(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "optuna.log").read_text().splitlines()]
    return [{key: held for key, held in line.items() if key != "worker_id"} for line in lines]


def _records(run: Path) -> dict[str, list[bytes]]:
    """The records of each run that TensorBoard shows, without the first, the time of the file."""
    found = {}
    for file in (run / "tensorboard").rglob("events.*"):
        content, records = file.read_bytes(), []
        while content:
            end = 12 + struct.unpack("<Q", content[:8])[0]
            records.append(content[12:end])
            content = content[end + 4 :]
        place = str(file.parent.relative_to(run))
        assert place not in found, f"{place} has two files"
        found[place] = records[1:]
    return found
