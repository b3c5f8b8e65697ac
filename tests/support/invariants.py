"""What holds of every run, however often its processes died on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from analysis.record.events import Created, Finished, Report
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.journal import read_journal
from analysis.record.trials import Trial, Trials
from search.control.policy import Policy
from search.rerun.replay import replay_run
from spaces.experiment import Experiment
from tests.support.driver import plain

STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def trials_in(run: Path) -> Trials:
    """The trials of a run, by its journal."""
    return Trials(read_journal(run / "journal.jsonl"))


def events_of(run: Path, kind: type) -> list[Any]:
    """The events of one kind in a run's journal."""
    return [event for event in read_journal(run / "journal.jsonl") if isinstance(event, kind)]


def check_ended_once(run: Path, trials: int) -> None:
    """Every trial was created once and ended once, every (trial, epoch) reported once."""
    events = read_journal(run / "journal.jsonl")
    numbers = list(range(trials))
    assert [event.trial for event in events if isinstance(event, Created)] == numbers
    assert sorted(event.trial for event in events if isinstance(event, Finished)) == numbers
    reports = [(event.trial, event.epoch) for event in events if isinstance(event, Report)]
    assert len(set(reports)) == len(reports)


def check_whole(run: Path, trials: int, metric: str = "score") -> None:
    """As ``check_ended_once``; besides, none failed, and every score is the right one."""
    check_ended_once(run, trials)
    told = trials_in(run)
    assert told.counts()["failed"] == 0
    for trial in told:
        step = trial.params["step"]
        for report in trial.reports:
            assert report.metrics[metric] == pytest.approx(step * report.epoch)  # type: ignore[operator]


def check_optuna_log(folder: Path) -> None:
    """Optuna itself reads in ``optuna.log`` what the journal says."""
    experiment = experiment_of(RunFolder(folder))
    storage = JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    study = optuna.load_study(study_name=experiment.name, storage=storage)
    ours = Trials()
    worst: dict[int, float] = {}
    for event in read_journal(folder / "journal.jsonl"):
        ours.apply(event)
        if isinstance(event, Finished):
            worst[event.trial] = ours.worst(experiment.metric)
    assert len(study.trials) == len(ours)
    for trial, theirs in zip(ours, study.trials, strict=True):
        check_optuna_trial(trial, theirs, experiment, worst[trial.number])


def check_optuna_trial(
    ours: Trial, theirs: FrozenTrial, experiment: Experiment, worst: float
) -> None:
    name = experiment.metric.name
    values = {report.epoch: report.metrics[name] for report in ours.reports}
    value = ours.value(experiment.metric)
    if ours.state == "diverged":
        value = values[ours.epoch] = worst
    assert theirs.state == STATES[ours.state]
    assert theirs.params == ours.params
    assert theirs.intermediate_values == values
    assert theirs.value == value


def check_rungs(folder: Path, experiment: Experiment) -> None:
    """Replayed up to any event, the rungs are those that were in memory after it."""
    policy = Policy(experiment)
    lines = (folder / "rungs.jsonl").read_bytes().splitlines(keepends=True)
    noted = dict(json.loads(line) for line in lines if line.endswith(b"\n"))
    assert len(noted) > 100
    for number, event in enumerate(read_journal(folder / "journal.jsonl"), start=1):
        policy.take(event)
        if number in noted:
            assert plain(policy.rungs) == noted[number], f"line {number}"


def check_replay(folder: Path) -> None:
    """The rules and the sampler decide all as the journal says."""
    replayed = replay_run(RunFolder(folder), experiment_of(RunFolder(folder)), proposals=True)
    assert replayed.difference is None
