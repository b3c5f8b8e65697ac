"""Failures before anything has worked end a search and are not recorded; later ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.coordinator import Coordinator
from search.first_failures import FirstFailures
from spaces.problems import RunError
from tests import made

BASELINE = {"lr": 0.01, "activation": "relu"}


def begun(folder: Path, trials: int, keep_going: bool = False, **changes: Any) -> Coordinator:
    """A search of which so many trials run."""
    coordinator = made.coordinator(folder, **changes)
    coordinator.keeps_going = keep_going
    for _ in range(trials):
        assert coordinator.next_trial() is not None
    return coordinator


def states(coordinator: Coordinator) -> list[str]:
    return [trial.state for trial in coordinator.trials]


def test_a_baseline_that_fails_at_once_ends_the_search_and_is_not_recorded(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 2, baseline=BASELINE)
    failures = FirstFailures(coordinator)
    failures.take(1, "OSError: no such file")
    with pytest.raises(RunError) as caught:
        failures.take(0, "Traceback …\nOSError: no such file\n")
    assert str(caught.value).splitlines() == [
        "trial 0, the baseline, failed before its first report, so the search ends:",
        "Traceback …",
        "OSError: no such file",
        "--keep-going searches on all the same",
    ]
    assert states(coordinator) == ["running", "running"]
    coordinator.close("error")
    again = made.resumed(tmp_path, baseline=BASELINE)
    assert [again.next_trial(), again.next_trial()] == list(again.trials)  # both are tried again


def test_a_baseline_that_fails_at_once_ends_the_search_while_others_work(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 2, baseline=BASELINE)
    failures = FirstFailures(coordinator)
    made.report(coordinator, 1, 1)
    failures.record()
    with pytest.raises(RunError, match="trial 0, the baseline, failed before its first report"):
        failures.take(0, "OSError: no such file")


def test_a_baseline_that_has_reported_may_fail(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 1, baseline=BASELINE)
    failures = FirstFailures(coordinator)
    made.report(coordinator, 0, 1)
    failures.record()
    failures.take(0, "OSError: no such file")
    assert states(coordinator) == ["failed"]


def test_without_a_baseline_three_that_fail_alike_end_the_search(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 4)
    failures = FirstFailures(coordinator)
    failures.take(0, "ValueError: 0.31 is too much, at most 1e-3")
    failures.take(1, "KeyError: 'x'")
    failures.take(2, "ValueError: 7 is too much, at most 1e-3")
    with pytest.raises(RunError, match=r"the first 3 trials failed in the same way.*\n.*0\.9"):
        failures.take(3, "ValueError: 0.9 is too much, at most 1e-3")
    assert states(coordinator) == ["running"] * 4


def test_once_a_trial_has_reported_the_failures_before_are_recorded(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 8)
    failures = FirstFailures(coordinator)
    failures.take(0, "ValueError: a")
    failures.take(1, "ValueError: a")
    assert states(coordinator)[:2] == ["running", "running"]
    made.report(coordinator, 2, 1)
    failures.record()
    for number in range(3, 8):
        failures.take(number, "ValueError: a")
    assert states(coordinator) == ["failed", "failed", "running", *["failed"] * 5]


def test_who_keeps_going_has_every_failure_recorded(tmp_path: Path) -> None:
    coordinator = begun(tmp_path, 5, keep_going=True, baseline=BASELINE)
    failures = FirstFailures(coordinator)
    for number in range(5):
        failures.take(number, "ValueError: a")
    assert states(coordinator) == ["failed"] * 5
