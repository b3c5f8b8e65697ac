"""The fused transport: trials train as one model, and are the same trials as by themselves."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from analysis.record.events import Attempt
from analysis.record.folder import RunFolder
from analysis.record.journal import read_journal
from search.cli.main import main
from search.control.coordinator import Coordinator
from search.lifecycle import resume_search, start_search
from search.session import Host
from search.transport.inline import Inline
from search.transport.lanes.fused import Fused
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.training_config import TrainConfig, resolve
from tests.support.fused import SPACE, check_trained_as_alone, small, told
from tests.support.inline import stopping_after
from tests.support.invariants import check_ended_once, check_optuna_log, events_of, trials_in
from tests.support.lanes import check_states
from tests.support.processes import DEADLINE_SECONDS, shoal, wait_for_epochs
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.data.splits import load_data
from trainables.shoal.rows import Rows
from trainables.shoal.shoal import Shoal
from trainables.training import Training


def searched(folder: Path, experiment: Experiment | None = None, lanes: int = 4) -> Coordinator:
    host = Host(transport=Fused(lanes))
    return start_search(experiment or small(), RunFolder(folder), host)


def test_a_search_has_the_trials_that_it_would_have_one_by_one(tmp_path: Path) -> None:
    coordinator = searched(tmp_path)
    check_ended_once(tmp_path, trials=12)
    assert coordinator.trials.counts()["failed"] == 0
    check_trained_as_alone(tmp_path)
    check_optuna_log(tmp_path)
    for trial in trials_in(tmp_path):
        state = Checkpoints(str(tmp_path / "checkpoints"), trial.number).load()
        assert state is not None
        assert state["training"]["epoch"] == trial.epoch


@pytest.mark.parametrize("steps", [4, 5, 6])
def test_a_checkpoint_holds_what_its_report_says_after_a_failure_between_two_epochs(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shoal that was left while its lanes changed places saves none of them."""
    arrange, calls = Rows.arrange, iter(range(1000))

    def interrupted(rows: Rows, order: Any) -> None:
        arrange(rows, order)
        if next(calls) == steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(Rows, "arrange", interrupted)
    experiment = small(checkpoint={"every_epochs": 9})
    with suppress(KeyboardInterrupt):
        searched(tmp_path, experiment)
    data = load_data(experiment.dataset, experiment.seed)
    for trial in trials_in(tmp_path):
        state = Checkpoints(str(tmp_path / "checkpoints"), trial.number).load()
        if state is None:
            continue
        config = resolve(experiment, trial.params, trial.seed)
        assert isinstance(config, TrainConfig)
        alone = Training(config, data, torch.device("cpu"))
        for _ in range(state["training"]["epoch"]):
            next(alone)
        check_states(state["training"]["model"], alone.state_dict()["model"], 1e-3)


def test_with_one_lane_the_journal_is_that_of_the_inline_engine(tmp_path: Path) -> None:
    searched(tmp_path / "fused", lanes=1)
    start_search(small(), RunFolder(tmp_path / "inline"), Host(transport=Inline()))
    fused, inline = (told(tmp_path / name) for name in ("fused", "inline"))
    assert fused == inline


def test_what_changes_shapes_and_what_can_not_swim_trains_in_the_same_search(
    tmp_path: Path,
) -> None:
    sizes = {"small": {"hidden": [8]}, "large": {"hidden": [16]}}
    space = {**SPACE, "size": sizes, "dropconnect": [0.0, 0.2]}
    baseline = {"lr": 0.01, "dropout": 0.1, "activation": "relu", "norm": "none"}
    baseline |= {"size": "small", "dropconnect": 0.0}
    searched(tmp_path, small(space=space, baseline=baseline, sampler="random"))
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)
    params = [trial.params for trial in trials_in(tmp_path)]
    assert {each["size"] for each in params} == {"small", "large"}
    assert {each["dropconnect"] for each in params} == {0.0, 0.2}


def test_a_lane_that_diverges_ends_and_the_others_go_on(tmp_path: Path) -> None:
    space = {**SPACE, "lr": [0.01, 1e30]}
    searched(tmp_path, small(space=space, sampler="random"))
    check_ended_once(tmp_path, trials=12)
    states: dict[Any, set[str]] = {0.01: set(), 1e30: set()}
    for trial in trials_in(tmp_path):
        states[trial.params["lr"]].add(trial.state)
    assert states[1e30] == {"diverged"}
    assert "diverged" not in states[0.01]


@pytest.mark.parametrize("steps", [3, 10, 23])
def test_a_search_that_is_interrupted_goes_on_in_any_engine(steps: int, tmp_path: Path) -> None:
    transport = Fused(4)
    transport._choose = stopping_after(steps)
    with pytest.raises(KeyboardInterrupt):
        start_search(small(), RunFolder(tmp_path), Host(transport=transport))
    before = read_journal(tmp_path / "journal.jsonl")
    resume_search(RunFolder(tmp_path), host=Host(transport=Fused(4) if steps != 10 else Inline()))
    assert read_journal(tmp_path / "journal.jsonl")[: len(before)] == before
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_search_whose_process_is_ended_goes_on_where_it_was(
    number: signal.Signals, tmp_path: Path
) -> None:
    run, file = tmp_path / "run", tmp_path / "file.yaml"
    experiment = small(scheduler={"name": "none", "max_epochs": 40}, engine="fused")
    file.write_text(yaml.safe_dump(experiment.plain()))
    process = shoal("search", str(file), "--run", str(run))
    wait_for_epochs(run, 20, process)
    process.send_signal(number)
    process.communicate(timeout=DEADLINE_SECONDS)
    before = trials_in(run)
    assert before.epochs < 480
    assert main(["resume", str(run), "--engine", "fused"]) == 0
    check_ended_once(run, trials=12)
    check_trained_as_alone(run)


def test_want_of_memory_starts_all_of_a_shoal_again_from_their_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, train_epoch = iter(range(1000)), Shoal.train_epoch

    def failing(shoal: Shoal, lanes: Any = None) -> Any:
        reports = train_epoch(shoal, lanes)
        if next(epochs) == 2:
            raise MemoryError("no room")  # with the epoch done: none may be counted twice
        return reports

    monkeypatch.setattr(Shoal, "train_epoch", failing)
    searched(tmp_path)
    attempts = events_of(tmp_path, Attempt)
    assert len(attempts) > 1
    assert {attempt.reason for attempt in attempts} == {"ShoalError: MemoryError: no room"}
    check_ended_once(tmp_path, trials=12)
    check_trained_as_alone(tmp_path)


@pytest.mark.parametrize("fault", [ZeroDivisionError, ValueError])
def test_a_shoal_that_fails_otherwise_fails_no_trial_they_train_one_by_one(
    fault: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def failing(shoal: Shoal, lanes: Any = None) -> Any:
        calls.append(len(shoal))
        raise fault("a fault of ours")

    monkeypatch.setattr(Shoal, "train_epoch", failing)
    coordinator = searched(tmp_path)
    assert calls == [4]
    reasons = [attempt.reason for attempt in events_of(tmp_path, Attempt)]
    assert reasons == 4 * [f"ShoalError: {fault.__name__}: a fault of ours"]
    assert coordinator.trials.counts()["failed"] == 0
    check_trained_as_alone(tmp_path)


def test_a_configuration_that_can_not_be_trained_fails_by_itself(tmp_path: Path) -> None:
    space = {**SPACE, "norm": ["none", "batch"]}
    changes = {"train": {"optimizer": "sgd", "batch_size": 1}, "budget": {"trials": 6}}
    dataset = {"name": "digits", "subset": 100}
    searched(tmp_path, small(space=space, dataset=dataset, sampler="random", **changes), lanes=2)
    check_ended_once(tmp_path, trials=6)
    for trial in trials_in(tmp_path):
        assert (trial.state == "failed") == (trial.params["norm"] == "batch")


def test_the_trials_of_a_shoal_stay_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes the place of another waits for the next epoch of all."""
    lanes, train_epoch = [], Shoal.train_epoch

    def noted(shoal: Shoal, asked: Any = None) -> Any:
        reports = train_epoch(shoal, asked)
        lanes.append(len(reports))
        return reports

    monkeypatch.setattr(Shoal, "train_epoch", noted)
    searched(tmp_path, small(budget={"trials": 24}), lanes=8)
    whole = lanes[: lanes.index(next(count for count in lanes if count < 8))]
    assert sum(whole) > 0.6 * sum(lanes)


def test_the_seeds_of_a_confirmation_swim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    baseline = {"lr": 0.01, "dropout": 0.1, "activation": "relu", "norm": "none"}
    searched(tmp_path, small(baseline=baseline))
    lanes, train_epoch = [], Shoal.train_epoch

    def noted(shoal: Shoal, asked: Any = None) -> Any:
        lanes.append(len(shoal))
        return train_epoch(shoal, asked)

    monkeypatch.setattr(Shoal, "train_epoch", noted)
    command = ["confirm", str(tmp_path), "--top", "2", "--seeds", "3", "--engine", "fused"]
    assert main(command) == 0
    assert max(lanes) > 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"train": {"compile": True}}, "train.compile: true"),
        ({"diagnostics": True}, "diagnostics: true"),
    ],
)
def test_an_experiment_that_can_not_swim_is_refused_with_the_reason(
    changes: Any, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=f"engine: fused: {reason}"):
        searched(tmp_path, small(**changes))
    assert not (tmp_path / "journal.jsonl").exists()


def test_a_third_of_the_trials_swims_at_most(tmp_path: Path) -> None:
    seen: list[int] = []

    class Watched(Fused):
        def _worker(self, data: Any) -> Any:
            seen.append(self._slots)
            return super()._worker(data)

    start_search(small(), RunFolder(tmp_path), Host(transport=Watched(16)))
    assert set(seen) == {4}
