"""A session whose first trainings all fail records none of them as failed."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from analysis.record.events import Finished
from analysis.record.journal import Journal, read_journal
from search.control.coordinator import Coordinator
from search.control.first_failures import FirstFailures
from search.rerun.candidates import race_of, verdict
from search.rerun.rerunner import Rerunner
from spaces.experiment import Confirm
from spaces.problems import RunError
from tests.support import examples

GONE = """Traceback (most recent call last):
  File "own.py", line 3, in train
    text = open("data.csv").read()
{error}: [Errno 2] No such file or directory: 'data.csv' of {trial}
"""


def gone(trial: int, error: str = "FileNotFoundError") -> str:
    return GONE.format(trial=trial, error=error)


def resumed(folder: Path) -> Coordinator:
    """A search that was interrupted after two trials, resumed with its first failures held."""
    before = examples.coordinator(folder, budget={"trials": 20})
    examples.run_all(before, reports=2)
    before.close("interrupted")
    coordinator = examples.resumed(folder)
    coordinator.first_failures = FirstFailures(keep_going=False)
    return coordinator


def failed_in(folder: Path) -> list[int]:
    events = read_journal(folder / "journal.jsonl")
    return [e.trial for e in events if isinstance(e, Finished) and e.state == "failed"]


def fail_all(coordinator: Coordinator) -> list[int]:
    """Hand out as long as there is something, and fail it; returns which."""
    failed = []
    while (trial := coordinator.next_trial()) is not None:
        assert coordinator.fail(trial.number, gone(trial.number)) == {}
        failed.append(trial.number)
    return failed


def test_failures_for_one_reason_end_the_session_and_are_not_recorded(tmp_path: Path) -> None:
    coordinator = resumed(tmp_path)
    assert fail_all(coordinator) == [0, 1, 2]
    with pytest.raises(RunError, match=r"the first 3 trials of this session failed") as told:
        coordinator.first_failures.check("trial")
    assert str(told.value).count("FileNotFoundError") == 1
    coordinator.close("error")
    assert failed_in(tmp_path) == []
    again = examples.resumed(tmp_path)
    assert [again.next_trial().number for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]


def test_a_success_records_what_was_held_before_it(tmp_path: Path) -> None:
    coordinator = resumed(tmp_path)
    numbers = [trial.number for _ in range(4) if (trial := coordinator.next_trial()) is not None]
    for number in numbers[:3]:
        coordinator.fail(number, gone(number))
    assert coordinator.next_trial() is None  # until the one that runs has succeeded or failed
    assert failed_in(tmp_path) == []
    epoch = coordinator.trials.by_number[numbers[3]].epoch + 1
    assert list(coordinator.saved()) == numbers[:3]
    examples.report(coordinator, numbers[3], epoch)
    assert failed_in(tmp_path) == numbers[:3]
    coordinator.first_failures.check("trial")
    assert list(coordinator.fail(numbers[3], gone(0))) == [numbers[3]]
    examples.run_all(coordinator)
    coordinator.close()


def test_failures_for_different_reasons_are_recorded(tmp_path: Path) -> None:
    coordinator = resumed(tmp_path)
    first, second = coordinator.next_trial(), coordinator.next_trial()
    assert first is not None
    assert second is not None
    coordinator.fail(first.number, gone(first.number))
    assert len(coordinator.fail(second.number, gone(second.number, "ValueError"))) == 2
    assert failed_in(tmp_path) == [first.number, second.number]


def test_code_that_ends_without_a_report_is_held_back_too(tmp_path: Path) -> None:
    coordinator = resumed(tmp_path)
    (running,) = [t for t in coordinator.trials.running.values() if not t.reports] or [None]
    while running is None:
        running = coordinator.next_trial()
        running = None if running is not None and running.reports else running
    coordinator.end_early(running.number)
    assert failed_in(tmp_path) == []
    with pytest.raises(RunError, match="the first trial of this session failed"):
        coordinator.first_failures.check("trial")


def test_a_process_that_died_is_recorded_at_once(tmp_path: Path) -> None:
    coordinator = resumed(tmp_path)
    coordinator.end(0, "failed", "its process died")
    assert failed_in(tmp_path) == [0]


@pytest.mark.parametrize("is_new", [True, False], ids=["a new search", "--keep-going"])
def test_failures_are_recorded_at_once(tmp_path: Path, is_new: bool) -> None:
    coordinator = examples.coordinator(tmp_path) if is_new else resumed(tmp_path)
    if not is_new:
        coordinator.first_failures = FirstFailures(keep_going=True)
    trial = coordinator.next_trial()
    assert trial is not None
    assert list(coordinator.fail(trial.number, gone(trial.number))) == [trial.number]
    coordinator.first_failures.check("trial")
    assert failed_in(tmp_path) == [trial.number]


def test_a_rerun_that_had_failed_before_is_recorded_at_once(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    experiment, trials = coordinator.experiment, coordinator.trials
    race = race_of(experiment, trials, Confirm(top=2, seeds=2))
    with closing(Journal(tmp_path / "journal.jsonl")) as journal:
        first = examples.begun(Rerunner(experiment, journal, lambda *_: race))
        while (rerun := first.next_trial()) is not None:
            first.fail(rerun.number, gone(rerun.number))
        journal.append(verdict(experiment, race, first.state()[1], trials))
        again = examples.begun(Rerunner(experiment, journal, lambda *_: race))
        again.first_failures = FirstFailures(keep_going=False)
        rerun = again.next_trial()
        assert rerun is not None
        assert list(again.fail(rerun.number, gone(rerun.number))) == [rerun.number]
        again.first_failures.check("rerun")


BASELINE = {"lr": 0.01, "activation": "relu"}


def with_baseline(folder: Path, keep_going: bool = False) -> Coordinator:
    """A new search of which the baseline and one more trial run."""
    coordinator = examples.coordinator(folder, baseline=BASELINE)
    coordinator.first_failures = FirstFailures(keep_going)
    coordinator.next_trial(), coordinator.next_trial()
    return coordinator


def test_a_baseline_that_fails_at_once_ends_the_search_and_is_not_recorded(tmp_path: Path) -> None:
    coordinator = with_baseline(tmp_path)
    coordinator.fail(1, gone(1))
    with pytest.raises(RunError, match="trial 0, the baseline, failed before its first report"):
        coordinator.fail(0, gone(0))
    coordinator.close("error")
    assert failed_in(tmp_path) == []
    again = examples.resumed(tmp_path, baseline=BASELINE)
    assert [again.next_trial(), again.next_trial()] == list(again.trials)  # both are tried again


def test_a_baseline_that_fails_at_once_ends_the_search_while_others_work(tmp_path: Path) -> None:
    coordinator = with_baseline(tmp_path)
    coordinator.saved()
    examples.report(coordinator, 1, 1)
    with pytest.raises(RunError, match="trial 0, the baseline"):
        coordinator.fail(0, gone(0))


def test_a_baseline_that_has_reported_may_fail(tmp_path: Path) -> None:
    coordinator = with_baseline(tmp_path)
    coordinator.saved()
    examples.report(coordinator, 0, 1)
    assert list(coordinator.fail(0, gone(0))) == [0]


def test_who_keeps_going_has_the_baselines_failure_recorded(tmp_path: Path) -> None:
    coordinator = with_baseline(tmp_path, keep_going=True)
    assert list(coordinator.fail(0, gone(0))) == [0]
