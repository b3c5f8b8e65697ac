"""What ends a search, and how it is extended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Ended, Resumed
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from spaces.problems import InputError
from tests.support import examples


def test_a_spent_trial_budget_lets_running_trials_end(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 2})
    coordinator.next_trial(), coordinator.next_trial()
    assert coordinator.next_trial() is None
    assert coordinator.is_over
    assert not coordinator.must_stop_now


@pytest.mark.parametrize("budget", [{"epochs": 5}, {"target": 0.6}, {"hours": 1e-9}])
def test_other_spent_limits_stop_the_search_where_it_is(
    tmp_path: Path, budget: dict[str, float]
) -> None:
    coordinator = examples.coordinator(tmp_path, budget=budget, scheduler={"name": "none"})
    if "hours" not in budget:
        coordinator.next_trial()
        for epoch in range(1, 6):
            assert not coordinator.must_stop_now
            examples.report(coordinator, 0, epoch, value=0.1 + epoch / 10)
    assert coordinator.must_stop_now
    assert coordinator.next_trial() is None


def test_patience_ends_a_search_that_no_longer_gets_better(tmp_path: Path) -> None:
    coordinator = examples.coordinator(
        tmp_path, budget={"patience": 3}, scheduler={"name": "none", "max_epochs": 1}
    )
    for number, value in enumerate((0.5, 0.9, 0.1, 0.1)):
        assert coordinator.next_trial() is not None
        examples.report(coordinator, number, 1, value)
    assert coordinator.next_trial() is not None
    examples.report(coordinator, 4, 1, 0.1)
    assert coordinator.next_trial() is None


def test_a_finished_run_is_extended_by_trials(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    with pytest.raises(InputError, match=r"budget is spent: trials \(12\); --trials or --hours"):
        examples.resumed(tmp_path)
    again = examples.resumed(tmp_path, trials=5)
    examples.run_all(again)
    assert len(again.trials) == 17
    assert examples.resumed(tmp_path, trials=3).budget.trials == 20


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"trials": 10**11}, "budget.trials: must be at most 1000000000, got 100000000012"),
        ({"hours": float("inf")}, "budget.hours: must be a finite number, got inf"),
    ],
)
def test_more_than_a_budget_can_have_is_a_mistake(
    tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    with pytest.raises(InputError, match=told):
        examples.resumed(tmp_path, **more)


def test_a_run_that_ended_on_its_hours_is_extended_by_hours_or_by_trials(tmp_path: Path) -> None:
    changes = {"budget": {"hours": 1e-9}}
    examples.coordinator(tmp_path, **changes).close()
    assert examples.resumed(tmp_path, hours=2.0, **changes).budget.hours == pytest.approx(2.0)
    by_trials = examples.resumed(tmp_path, trials=4, **changes)
    assert by_trials.next_trial() is not None


def test_a_clock_that_is_set_neither_ends_a_budget_in_hours_nor_extends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"hours": 0.5})
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600)
    assert coordinator.next_trial() is not None
    assert not coordinator.must_stop_now
    monkeypatch.setattr("time.time", lambda: now - 3600)
    monotonic = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: monotonic + 1801)
    assert coordinator.must_stop_now


def test_a_clock_set_back_between_two_sessions_gives_no_negative_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"hours": 1.0})
    coordinator.next_trial()
    spent = coordinator.trials.seconds()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now - 7200)
    again = examples.resumed(tmp_path, budget={"hours": 1.0})
    assert again.trials.seconds() >= spent
    assert again.next_trial() is not None
    monotonic = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: monotonic + 3601)
    assert again.must_stop_now


def test_the_time_between_a_crash_and_the_resume_is_not_counted(tmp_path: Path) -> None:
    changes = {"budget": {"hours": 1.0}}
    examples.coordinator(tmp_path, **changes).next_trial()
    file = tmp_path / "journal.jsonl"
    hours_ago = [e.model_copy(update={"time": e.time - 7200}) for e in read_journal(file)]
    file.write_text("".join(event.model_dump_json() + "\n" for event in hours_ago))
    examples.unchain(file)
    again = examples.resumed(tmp_path, **changes)
    assert not again.must_stop_now
    assert again.trials.seconds() < 60


def test_patience_counts_from_the_report_of_the_best_value(tmp_path: Path) -> None:
    coordinator = examples.coordinator(
        tmp_path, budget={"patience": 3}, scheduler={"name": "none", "max_epochs": 2}
    )
    for _ in range(4):
        coordinator.next_trial()
    for number in (1, 2, 3):
        examples.report(coordinator, number, 1, 0.1)
        examples.report(coordinator, number, 2, 0.1)
    examples.report(coordinator, 0, 1, 0.9)
    assert not coordinator.is_over


def test_a_run_that_met_its_target_is_extended_by_so_many_trials_more(tmp_path: Path) -> None:
    changes = {"budget": {"trials": 100, "target": 0.5}}
    coordinator = examples.coordinator(tmp_path, **changes)
    coordinator.next_trial()
    examples.report(coordinator, 0, 1, 0.6)
    coordinator.close()
    assert examples.resumed(tmp_path, trials=5, **changes).budget.trials == 6


def test_a_grid_that_was_tried_whole_is_not_resumed(tmp_path: Path) -> None:
    changes = {"space": {"activation": ["tanh", "relu"]}, "sampler": {"name": "grid"}}
    coordinator = examples.coordinator(tmp_path, **changes)
    examples.run_all(coordinator)
    assert len(coordinator.trials) == 2
    coordinator.close()
    with pytest.raises(InputError, match="every combination of its grid was tried"):
        examples.resumed(tmp_path, trials=3, **changes)


@pytest.mark.parametrize(
    ("budget", "values", "more"),
    [
        ({"trials": 2}, [0.5, 0.6], {"trials": 3}),
        ({"hours": 1e-9}, [], {"hours": 1.0}),
        ({"epochs": 4}, [0.5, 0.6], {"trials": 3}),
        ({"target": 0.55}, [0.5, 0.6], {"trials": 3}),
        ({"patience": 2}, [0.9, 0.5, 0.6], {"hours": 1.0}),
    ],
)
def test_every_limit_ends_a_run_with_true_states_and_can_be_extended(
    budget: dict[str, float], values: list[float], more: dict[str, Any], tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        "budget": budget,
        "scheduler": {"name": "none", "max_epochs": 2},
    }
    coordinator = examples.coordinator(tmp_path, **changes)
    for number, value in enumerate(values):
        assert coordinator.next_trial() is not None
        for epoch in (1, 2):
            examples.report(coordinator, number, epoch, value)
    assert coordinator.next_trial() is None
    assert coordinator.is_over
    coordinator.close()
    (limit,) = budget
    assert read_journal(tmp_path / "journal.jsonl")[-1].reason == limit  # type: ignore[union-attr]
    assert coordinator.trials.counts()["completed"] == len(values)
    with pytest.raises(InputError, match=f"its budget is spent: {limit}"):
        examples.resumed(tmp_path, **changes)
    assert examples.resumed(tmp_path, **more, **changes).next_trial() is not None


def test_seconds_are_right_though_the_clock_went_back_between_sessions(tmp_path: Path) -> None:
    trials = Trials()
    trials.apply(examples.started(examples.experiment()).model_copy(update={"time": 5000.0}))
    trials.apply(Ended(time=5600.0, reason="interrupted"))
    trials.apply(Resumed(time=2000.0))
    trials.apply(Ended(time=2060.0, reason="interrupted"))
    trials.apply(Resumed(time=9000.0))
    assert trials.seconds() == pytest.approx(660.0)
