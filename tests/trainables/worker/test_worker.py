"""The worker: what a checkpoint carries, and what is handed in again after a death."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spaces.training_config import AnyConfig, resolve
from tests.support import examples
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.checkpoints.saving import SavePlan
from trainables.data.splits import Data, load_data
from trainables.reports import EpochReport
from trainables.worker.messages import Assignment, Origin
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.worker import Worker

CODE = """
def train(config, context):
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        total += config["x"]
        if (epoch + 1) % config["every"] == 0:
            context.save(total)
        yield {"score": total, "a_metric": 0.5}
"""


def assignment(folder: Path, every: int = 1, epochs: int = 2000, **changes: Any) -> Assignment:
    """Own code that saves a number now and then."""
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(CODE)
    experiment = examples.own_code_experiment(
        folder, train={"every": every}, scheduler={"max_epochs": epochs}
    )
    return _assignment(folder, resolve(experiment, {"x": 0.5}, seed=1), **changes)


def built_in(folder: Path) -> tuple[Assignment, Data]:
    (folder / "checkpoints").mkdir(parents=True)
    experiment = examples.experiment(
        dataset={"name": "digits", "subset": 100}, scheduler={"max_epochs": 2000}
    )
    config = resolve(experiment, {"lr": 0.001, "activation": "relu"}, seed=1)
    return _assignment(folder, config), load_data(experiment.dataset, experiment.seed)


def _assignment(folder: Path, config: AnyConfig, **changes: Any) -> Assignment:
    given = Assignment(
        trial=0,
        config=config.model_dump(mode="json"),
        reported=0,
        checkpoints=str(folder / "checkpoints"),
        origin=None,
        project=None,
        log_file=str(folder / "none" / "0.txt"),
        files=(str(folder), "files/0", None),
        epoch_timeout_seconds=None,
        saving=SavePlan(ends=frozenset(range(2001))),  # so that each is written before its report
    )
    return replace(given, **changes)


def worker(assignment: Assignment, data: Data | None = None) -> Worker:
    """A worker in this process."""
    held = Worker(data, Here(), Echo())
    held.take(assignment)
    return held


def stepped(worker: Worker) -> EpochReport:
    outcome = worker.step()
    assert outcome.error is None
    assert outcome.report is not None
    return outcome.report


def sizes(folder: Path, worker: Worker, *epochs: int) -> list[int]:
    """The bytes of the checkpoints after some epochs."""
    found = []
    for epoch in range(1, max(epochs) + 1):
        assert stepped(worker).epoch == epoch
        if epoch in epochs:
            file = folder / "checkpoints" / "0" / f"epoch-{epoch:06d}.pt"
            found.append(file.stat().st_size)
    return found


def test_a_checkpoint_of_own_code_takes_no_more_at_a_late_epoch(tmp_path: Path) -> None:
    first, early, late = sizes(tmp_path, worker(assignment(tmp_path)), 10, 300, 1000)
    assert early == late
    assert abs(first - late) < 16  # the epoch itself takes a byte more


def test_a_checkpoint_of_a_built_in_model_takes_no_more_at_a_late_epoch(tmp_path: Path) -> None:
    given, data = built_in(tmp_path)
    early, late = sizes(tmp_path, worker(given, data), 10, 30)
    assert early == late


@pytest.mark.parametrize(("reported", "again"), [(5, []), (4, [5])])
def test_a_report_that_was_lost_on_its_way_is_handed_in_again(
    tmp_path: Path, reported: int, again: list[int]
) -> None:
    first = worker(assignment(tmp_path))
    reports = [stepped(first) for _ in range(5)]
    second = worker(assignment(tmp_path, reported=reported))
    handed_in = [stepped(second) for _ in range(2)]
    assert [report.epoch for report in handed_in] == [*again, 6, 7][:2]
    assert all(report == reports[report.epoch - 1] for report in handed_in if report.epoch <= 5)
    assert stepped(second).metrics["score"] == 0.5 * (8 if not again else 7)


def test_what_another_configuration_left_under_the_same_number_is_passed_over(
    tmp_path: Path,
) -> None:
    first = worker(assignment(tmp_path))
    assert [stepped(first).metrics["score"] for _ in range(3)] == [0.5, 1.0, 1.5]
    same = assignment(tmp_path)
    other = replace(same, config={**same.config, "settings": {"x": 0.25, "every": 1}})
    begun = worker(other)
    outcome = begun.step()
    assert outcome.report.metrics["score"] == 0.25
    told = "checkpoints of another configuration under its number are passed over"
    assert outcome.notes == (told,)
    elsewhere = replace(same, config={**same.config, "threads": 2}, reported=3)
    assert stepped(worker(elsewhere)).epoch == 1  # for the other one's took the place of its own


@pytest.mark.parametrize("reported", [0, 1, 2])
def test_what_a_journal_that_was_cut_off_lacks_is_trained_again(
    tmp_path: Path, reported: int
) -> None:
    first = worker(assignment(tmp_path))
    reports = [stepped(first) for _ in range(5)]
    second = worker(assignment(tmp_path, reported=reported))
    assert [stepped(second) for _ in range(5)] == reports


def test_the_checkpoint_before_the_last_serves_where_it_lacks_nothing(tmp_path: Path) -> None:
    first = worker(assignment(tmp_path))
    for _ in range(5):
        stepped(first)
    second = worker(assignment(tmp_path, reported=3))  # the last one lacks the report of epoch 4
    assert [stepped(second).epoch for _ in range(3)] == [4, 5, 6]


def test_code_that_saves_now_and_then_goes_back_to_what_it_saved(tmp_path: Path) -> None:
    first = worker(assignment(tmp_path, every=3))
    reports = [stepped(first) for _ in range(5)]
    second = worker(assignment(tmp_path, every=3, reported=5))
    assert [stepped(second) for _ in range(2)] == reports[3:]
    third = worker(assignment(tmp_path, every=3, reported=5))
    assert stepped(third).epoch == 4  # the state of epoch 3 is still in the checkpoint


def test_a_checkpoint_with_all_reports_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    first = worker(assignment(tmp_path))
    reports = [stepped(first) for _ in range(5)]
    checkpoints = Checkpoints(str(tmp_path / "checkpoints"), 0)
    state = checkpoints.load()
    assert state is not None
    state["reports"] = [vars(report) for report in reports]
    checkpoints.save(5, state)
    second = worker(assignment(tmp_path, reported=2))
    assert [stepped(second) for _ in range(3)] == reports[2:]
    assert stepped(second).epoch == 6


def test_a_file_of_own_code_that_is_gone_for_a_while_fails_no_trial(tmp_path: Path) -> None:
    first = worker(assignment(tmp_path))
    assert stepped(first).epoch == 1
    given = replace(assignment(tmp_path), trial=1)
    (tmp_path / "own.py").unlink()
    assert stepped(first).epoch == 2
    assert stepped(worker(given)).epoch == 1  # this process has imported it
    gone = {**given.config, "trainable": f"{tmp_path}/never_seen.py:train"}
    outcome = worker(replace(given, config=gone)).step()
    assert outcome.error is None
    assert outcome.fault == f"trainable: there is no file {tmp_path}/never_seen.py"


def newest(folder: Path) -> int:
    """The epoch of the newest checkpoint of trial 0."""
    state = Checkpoints(str(folder / "checkpoints"), 0).load()
    assert state is not None
    epoch: int = state["reports"][-1]["epoch"]
    return epoch


def test_what_a_trial_has_reached_is_saved_when_its_worker_leaves_it(tmp_path: Path) -> None:
    seldom = SavePlan(every_epochs=100)
    own = worker(assignment(tmp_path / "own", saving=seldom))
    given, data = built_in(tmp_path / "built_in")
    other = worker(replace(given, saving=seldom), data)
    for held, folder in ((own, tmp_path / "own"), (other, tmp_path / "built_in")):
        for _ in range(3):
            stepped(held)
        held.close()
        assert newest(folder) == 3


def test_a_state_in_the_middle_of_an_epoch_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, data = built_in(tmp_path)
    held = worker(replace(given, saving=SavePlan(every_epochs=2)), data)
    for _ in range(3):
        stepped(held)
    training = held._training
    assert training is not None
    monkeypatch.setattr(training.optimizer, "step", lambda: 1 / 0)  # type: ignore[union-attr]
    assert "ZeroDivisionError" in str(held.step().error)
    held.close()
    assert newest(tmp_path) == 2


@pytest.mark.parametrize(("is_interrupted", "saved"), [(False, 2), (True, None)])
def test_a_state_that_interrupted_code_saved_ahead_of_its_report_is_not_kept(
    tmp_path: Path, is_interrupted: bool, saved: int | None
) -> None:
    told = False
    held = Worker(None, Here(), Echo(), is_interrupted=lambda: told)
    held.take(assignment(tmp_path, saving=SavePlan(every_epochs=100)))
    stepped(held)
    told = is_interrupted
    with pytest.raises(KeyboardInterrupt) if told else contextlib.nullcontext():
        held.step()
    held.close()
    assert (newest(tmp_path) if list(tmp_path.glob("checkpoints/0/*")) else None) == saved


def test_own_code_is_watched_while_it_cleans_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = assignment(tmp_path, epoch_timeout_seconds=60.0)
    ending = (
        "        yield {'score': 1.0}\n    finally:\n        open(config['file'], 'w').close()\n"
    )
    (tmp_path / "ends.py").write_text(f"def train(config, context):\n    try:\n{ending}")
    settings = {"file": str(tmp_path / "closed")}
    changes = {"settings": settings, "trainable": f"{tmp_path}/ends.py:train"}
    running = worker(replace(given, config={**given.config, **changes}))
    assert stepped(running).epoch == 1
    watched = []

    @contextlib.contextmanager
    def noted() -> Iterator[None]:
        watched.append((tmp_path / "closed").exists())
        yield
        watched.append((tmp_path / "closed").exists())

    monkeypatch.setattr(running, "_watched", noted)
    running.close()
    assert watched[-2:] == [False, True]  # a checkpoint that is being written is waited for first
    assert running._watchdog is not None
    running._watchdog._process.kill()


@pytest.mark.parametrize("is_gone", [False, True])
def test_an_audit_hands_in_what_the_trial_reported_and_goes_on(
    tmp_path: Path, is_gone: bool
) -> None:
    first = worker(assignment(tmp_path))
    reports = tuple(stepped(first) for _ in range(3))
    for file in (tmp_path / "checkpoints" / "0").iterdir():
        if is_gone:
            file.unlink()
    origin = Origin(str(tmp_path / "checkpoints"), 0, reports)
    (tmp_path / "reruns").mkdir()
    given = assignment(tmp_path, origin=origin, checkpoints=str(tmp_path / "reruns"))
    rerun = worker(given)
    handed_in = [stepped(rerun) for _ in range(5)]
    assert handed_in[:3] == list(reports)
    assert [report.metrics["score"] for report in handed_in] == [0.5, 1.0, 1.5, 2.0, 2.5]
