"""Lane groups on Ray: each process trains several trials as one model."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from analysis.record.events import Attempt, Finished, Report
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.control.controller import Controller
from search.control.coordinator import Coordinator
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from search.lifecycle import resume_search, start_search
from search.session import Host
from search.transport.inline import Inline
from search.transport.lanes import groups
from search.transport.lanes.fused import Fused
from search.transport.lanes.group import Group
from search.transport.lanes.groups import Groups
from spaces.experiment import Experiment
from spaces.problems import InputError
from tests.support.fused import SPACE, check_trained_as_alone, small, told
from tests.support.inline import StopsAfter
from tests.support.invariants import check_ended_once, check_optuna_log, events_of, trials_in
from trainables.worker.tune_group import TuneGroup

pytestmark = pytest.mark.usefixtures("local_ray")

ONE_GROUP = {"cpus": 2, "gpus": 0}
TWO_GROUPS = {"cpus": 1, "gpus": 0}


def searched(
    folder: Path, experiment: Experiment, lanes: int = 4, view: Silent | None = None
) -> Coordinator:
    host = Host(transport=Groups(lanes=lanes), view=view or Silent())
    return start_search(experiment, RunFolder(folder), host)


def test_two_groups_have_the_trials_that_would_train_one_by_one(tmp_path: Path) -> None:
    sizes = {"small": {"hidden": [8]}, "large": {"hidden": [16]}}
    space = {**SPACE, "size": sizes, "lr": [0.01, 0.03, 1e30], "dropconnect": [0.0, 0.2]}
    baseline = {"lr": 0.01, "dropout": 0.1, "activation": "relu", "norm": "none"}
    baseline |= {"size": "small", "dropconnect": 0.0}
    experiment = small(
        space=space,
        baseline=baseline,
        sampler="random",
        budget={"trials": 24},
        resources=TWO_GROUPS,
    )
    searched(tmp_path, experiment)
    check_ended_once(tmp_path, trials=24)
    check_trained_as_alone(tmp_path)
    check_optuna_log(tmp_path)
    states = {trial.state for trial in trials_in(tmp_path)}
    assert states == {"completed", "stopped", "diverged"}


def test_with_one_lane_the_journal_is_that_of_the_inline_engine(tmp_path: Path) -> None:
    experiment = small(resources=ONE_GROUP, budget={"trials": 6})
    searched(tmp_path / "groups", experiment, lanes=1)
    start_search(experiment, RunFolder(tmp_path / "inline"), Host(transport=Inline()))
    assert told(tmp_path / "groups") == told(tmp_path / "inline")


@pytest.mark.parametrize("engine", ["groups", pytest.param("fused", marks=pytest.mark.slow)])
def test_a_search_that_is_interrupted_goes_on_in_any_engine(engine: str, tmp_path: Path) -> None:
    experiment, view = small(resources=TWO_GROUPS), StopsAfter(epochs=20)
    transports = {"groups": lambda: Groups(lanes=4), "fused": lambda: Fused(4)}
    first, second = transports.pop(engine), transports.popitem()[1]
    run = RunFolder(tmp_path)
    assert start_search(experiment, run, Host(transport=first(), view=view)).is_interrupted
    before = read_journal(run.journal_file)
    assert trials_in(tmp_path).epochs < 60
    again = Silent()
    resume_search(run, host=Host(transport=second(), view=again))
    assert read_journal(run.journal_file)[: len(before)] == before
    assert [note for note in again.notes if "starts over" in note] == []
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)


class Kills(Silent):
    """Kills the process that reported last, each time that the run has so many more epochs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int, times: int) -> None:
        super().__init__()
        self._epochs = [every * (number + 1) for number in range(times)]
        heard = Dispatcher.heard

        def hearing(dispatcher: Dispatcher, number: int, process: str) -> None:
            self._process = int(process.split()[1])
            heard(dispatcher, number, process)

        monkeypatch.setattr(Dispatcher, "heard", hearing)

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Note what is trained."""
        self._controller = controller
        return nullcontext()

    def update(self) -> None:
        """Kill it, when it is time to."""
        if self._epochs and self._controller.trials.epochs >= self._epochs[0]:
            self._epochs.pop(0)
            os.kill(self._process, signal.SIGKILL)


class DiesInReset(TuneGroup):
    """A process that was trained in before dies of the next trials that it is given."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if hasattr(self, "_fault"):
            os._exit(1)
        return super().reset_config(new_config)


@pytest.mark.slow
def test_the_trials_that_a_process_dies_of_between_two_groups_are_given_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune starts no such process again, and tells twice of its death."""
    fill, emptied = Group.fill, list[int]()

    def running_dry(group: Group) -> Any:
        """Nothing, until a group is empty."""
        epochs = group._dispatcher.controller.trials.epochs
        if emptied or epochs < 10:
            return fill(group)
        if not group:
            emptied.append(epochs)
        return []

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(Group, "fill", running_dry)
    monkeypatch.setattr(groups, "TuneGroup", DiesInReset)
    searched(tmp_path, small(resources=ONE_GROUP))
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert emptied
    assert events_of(tmp_path, Attempt)
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)


class NeverStarts(TuneGroup):
    """A process that can't start."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        raise ZeroDivisionError("no luck")


@pytest.mark.slow
def test_a_process_that_never_starts_is_not_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(groups, "TuneGroup", NeverStarts)
    experiment = small(resources=ONE_GROUP, max_failures=0, budget={"trials": 3})
    searched(tmp_path, experiment)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert {event.state for event in events_of(tmp_path, Finished)} == {"failed"}
    check_ended_once(tmp_path, trials=3)


@pytest.mark.parametrize(
    "changes",
    [{"isolate": True}, {"epoch_timeout_seconds": 9}, {"resources": {"workers": 2, "gpus": 0}}],
)
def test_what_needs_a_process_for_each_trial_is_refused(changes: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="use engine: tune"):
        searched(tmp_path, small(**changes))


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_group_whose_process_dies_goes_on_and_after_two_deaths_one_by_one(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small(resources=ONE_GROUP, max_failures=3)
    searched(tmp_path, experiment, view=Kills(monkeypatch, every=9, times=times))
    attempts = events_of(tmp_path, Attempt)
    assert len(attempts) > 1
    assert all("its process died" in attempt.reason for attempt in attempts)
    assert {event.state for event in events_of(tmp_path, Finished)} <= {"completed", "stopped"}
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)
    check_alone(tmp_path, {trial.number for trial in trials_in(tmp_path) if trial.attempts > 1})
    assert (times == 1) == (max(trial.attempts for trial in trials_in(tmp_path)) == 1)


def check_alone(run: Path, blamed: set[int]) -> None:
    """After their last attempt, no other trial reports between the reports of one of these."""
    events = read_journal(run / "journal.jsonl")
    for trial in blamed:
        last = max(i for i, e in enumerate(events) if isinstance(e, Attempt) and e.trial == trial)
        reports = [event.trial for event in events[last:] if isinstance(event, Report)]
        first = reports.index(trial)
        assert set(reports[first : first + reports.count(trial)]) == {trial}
