"""Trials that wait at their rungs, and which of them go on."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Created, Finished, Promoted, Report
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from search.control.coordinator import Coordinator
from spaces.problems import InputError
from spaces.scheduler import Scheduler
from tests.support import examples

FREEZE_THAW: dict[str, Any] = {
    "sampler": "curves",
    "scheduler": {"name": "freeze_thaw", "max_epochs": 9},
}


def coordinator(folder: Path, **changes: Any) -> Coordinator:
    folder.mkdir(exist_ok=True)
    return examples.coordinator(folder, **{**FREEZE_THAW, **changes})


def resumed(folder: Path, **changes: Any) -> Coordinator:
    return examples.resumed(folder, **{**FREEZE_THAW, **changes})


def score(params: dict[str, Any], epoch: int) -> float:
    """A curve whose height tells how near lr is to 0.01; relu is better."""
    height = 0.9 - 0.1 * abs(math.log10(params["lr"]) + 2) - 0.1 * (params["activation"] == "tanh")
    return height * (1 - 0.5**epoch)


def train(coordinator: Coordinator, workers: int = 2, epochs: int | None = None) -> None:
    """Train an epoch of each running trial after the other, until all is done or so many."""
    running: list[Any] = []
    while epochs is None or coordinator.trials.epochs < epochs:
        while len(running) < workers and (trial := coordinator.next_trial()) is not None:
            running.append(trial)
        if not running or coordinator.must_stop_now:
            return
        trial = running.pop(0)
        metrics = {"val_accuracy": score(trial.params, trial.epoch + 1), "train_loss": 1.0}
        if coordinator.report(trial.number, trial.epoch + 1, metrics) == "continue":
            running.append(trial)


def test_a_budget_of_trials_begins_them_all_and_trains_the_best_to_the_end(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"trials": 40})
    train(search)
    counts = search.trials.counts()
    assert counts["running"] == 0
    assert not search.trials.waiting
    assert counts["completed"] + counts["stopped"] == 40
    assert 1 <= counts["completed"] < 20
    planned = 40 * Scheduler(max_epochs=9).average_epochs
    assert planned - 9 <= search.trials.epochs <= planned + 2 * 9
    best = search.trials.best(search.experiment.metric)
    assert best is not None
    assert best.state == "completed"
    assert search.is_finished


def test_every_trial_waits_at_each_rung_but_the_baseline(tmp_path: Path) -> None:
    baseline = {"lr": 0.5, "activation": "tanh"}
    search = coordinator(tmp_path, budget={"trials": 20}, baseline=baseline)
    train(search)
    reports = [e for e in read_journal(tmp_path / "journal.jsonl") if isinstance(e, Report)]
    at_rungs = {e.decision for e in reports if e.epoch in (1, 3) and e.trial != 0}
    assert at_rungs == {"pause"}
    assert {e.decision for e in reports if e.epoch in (2, 4, 5, 6, 7, 8)} == {"continue"}
    assert search.trials.by_number[0].state == "completed"
    assert {r.decision for r in search.trials.by_number[0].reports[:-1]} == {"continue"}


def test_later_trials_are_better_and_the_best_is_found(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"epochs": 250})
    train(search, workers=4)
    trials = list(search.trials)
    early = [score(t.params, 9) for t in trials[:8]]
    late = [score(t.params, 9) for t in trials[20:]]
    assert sum(late) / len(late) > sum(early) / len(early) + 0.05
    best = search.trials.best(search.experiment.metric)
    assert best is not None
    assert score(best.params, 9) > 0.89 * (1 - 0.5**9)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_metric_that_is_minimized_is_searched_as_its_mirror_image(
    tmp_path: Path, mode: str
) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'score': 1.0}\n")
    search = examples.own_code_coordinator(
        tmp_path, **FREEZE_THAW, metric={"name": "score", "mode": mode}, budget={"epochs": 120}
    )
    sign = 1.0 if mode == "max" else -1.0
    while (trial := search.next_trial()) is not None:
        height = 1.0 - (float(trial.params["x"]) - 0.7) ** 2  # type: ignore[arg-type]
        while search.report(trial.number, trial.epoch + 1, {"score": sign * height}) == "continue":
            pass
    best = search.trials.best(search.experiment.metric)
    assert best is not None
    assert best.params["x"] == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("reports", [3, 9, 17, 30, 55])
def test_a_search_cut_off_anywhere_goes_on_as_the_whole_one(tmp_path: Path, reports: int) -> None:
    changes = {"budget": {"trials": 25}}
    whole = coordinator(tmp_path / "whole", **changes)
    train(whole, workers=1)
    train(coordinator(tmp_path / "cut", **changes), workers=1, epochs=reports)
    again = resumed(tmp_path / "cut", **changes)
    assert all(not trial.is_waiting for trial in again._unfinished)
    train(again, workers=1)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def rows(folder: Path) -> list[Any]:
    """What the journal says of trials, without the times."""
    events = read_journal(folder / "journal.jsonl")
    kept = [e for e in events if e.event in ("created", "report", "promoted", "finished")]
    return [event.model_dump(exclude={"time"}) for event in kept]


@pytest.mark.edits_journals
def test_a_report_that_comes_again_is_answered_by_how_the_trial_stands(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"trials": 20})
    trial = search.next_trial()
    assert trial is not None
    metrics = {"val_accuracy": 0.5, "train_loss": 1.0}
    assert search.report(0, 1, metrics) == "stop"
    assert trial.is_waiting
    assert search.report(0, 1, metrics) == "stop"
    search.write(Promoted(trial=0))
    assert search.report(0, 1, metrics) == "continue"
    assert search.report(0, 2, metrics) == "continue"
    assert search.report(0, 1, metrics) == "continue"
    with pytest.raises(InputError, match="trial 0 is promoted, but does not wait"):
        search.check(Promoted(trial=0))


def test_in_training_are_those_that_run_and_do_not_wait_by_number() -> None:
    trials = Trials(Created(trial=number, params={}, seed=0) for number in range(4))

    def in_training() -> list[int]:
        return [trial.number for trial in trials.in_training]

    for number in (2, 1):
        trials.apply(Report(trial=number, epoch=1, metrics={}, decision="pause"))
    assert in_training() == [0, 3]
    trials.apply(Promoted(trial=2))
    assert in_training() == [0, 2, 3]
    trials.apply(Report(trial=2, epoch=2, metrics={}, decision="continue"))
    for number in (0, 1):
        trials.apply(Finished(trial=number, state="stopped", epoch=number))
    assert in_training() == [2, 3]


def test_those_that_wait_are_counted_by_patience(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"patience": 5})
    while (trial := search.next_trial()) is not None and trial.epoch == 0:
        value = 0.9 if trial.number == 2 else 0.1
        search.report(trial.number, 1, {"val_accuracy": value, "train_loss": 1.0})
    assert len(search.trials) == 8  # trial 2 and five that were no better


@pytest.mark.parametrize("sampler", ["random", "qmc", "grid"])
def test_samplers_that_do_not_learn_leave_the_choice_to_what_was_learned(
    tmp_path: Path, sampler: str
) -> None:
    space: dict[str, Any] = {"lr": [1e-3, 1e-2, 1e-1], "activation": ["tanh", "relu"]}
    changes: dict[str, Any] = {"space": space} if sampler == "grid" else {}
    search = coordinator(tmp_path, sampler=sampler, budget={"trials": 20}, **changes)
    train(search)
    states = Counter(trial.state for trial in search.trials)
    assert states["completed"] >= 1
    assert states["completed"] + states["stopped"] == (6 if sampler == "grid" else 20)


@pytest.mark.parametrize("top", [1, 2, 3])
def test_searches_of_few_epochs_come_to_their_end(tmp_path: Path, top: int) -> None:
    search = coordinator(
        tmp_path, scheduler={"name": "freeze_thaw", "max_epochs": top}, budget={"trials": 15}
    )
    train(search)
    assert len(search.trials) == 15
    assert search.trials.counts()["completed"] >= 1
    assert search.is_finished


def test_a_region_where_trainings_diverge_is_left(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"trials": 40})
    while (trial := search.next_trial()) is not None:
        while True:
            lr = float(trial.params["lr"])  # type: ignore[arg-type]
            value = math.nan if lr > 0.03 else score(trial.params, trial.epoch + 1)
            metrics = {"val_accuracy": value, "train_loss": 1.0}
            if search.report(trial.number, trial.epoch + 1, metrics) == "stop":
                break
    diverged = [trial.state == "diverged" for trial in search.trials]
    assert sum(diverged[20:]) < sum(diverged[:10]) + 3
    assert sum(diverged[20:]) <= 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "tpe", "scheduler": "freeze_thaw"}, "tpe looks at ended ones only"),
        (
            {"scheduler": {"name": "freeze_thaw", "window": 20}},
            "scheduler.window: is a setting of asha",
        ),
        ({"scheduler": {"name": "asha", "window": 2}}, "at least reduction_factor .3., got 2"),
        ({"scheduler": {"name": "freeze"}}, "'asha', 'freeze_thaw' or 'none', got 'freeze'"),
        ({"sampler": "curve"}, "sampler.name: must be 'curves'"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        examples.experiment(**{**FREEZE_THAW, **changes})


def test_a_space_without_parameters_and_one_of_a_single_value_are_searched(tmp_path: Path) -> None:
    for name, space in (("none", {}), ("one", {"lr": [0.1]})):
        search = coordinator(tmp_path / name, space=space, budget={"trials": 12})
        values = iter(range(1000))
        while (trial := search.next_trial()) is not None:
            metrics = {"val_accuracy": 0.5 + 1e-4 * next(values), "train_loss": 1.0}
            search.report(trial.number, trial.epoch + 1, metrics)
        assert len(search.trials) == 12


@pytest.mark.parametrize("huge", [1e308, -1e308, 0.0])
def test_values_of_any_size_are_learned_from(tmp_path: Path, huge: float) -> None:
    search = coordinator(tmp_path, budget={"trials": 15})
    while (trial := search.next_trial()) is not None:
        value = huge if trial.number % 2 else -huge / 2
        search.report(trial.number, trial.epoch + 1, {"val_accuracy": value, "train_loss": 1.0})
    assert len(search.trials) == 15


@pytest.mark.edits_journals  # they replay with as few shown only
def test_more_wait_than_are_shown_and_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.surrogate.surrogate._MOST_SEEN", 12)
    search = coordinator(tmp_path, budget={"trials": 40})
    train(search)
    assert len(search.trials) == 40
    assert search.is_finished


def test_a_limit_that_can_be_lifted_lets_them_wait(tmp_path: Path) -> None:
    search = coordinator(tmp_path, budget={"epochs": 30})
    train(search)
    search.close()
    waiting = len(search.trials.waiting)
    assert waiting > 5
    again = resumed(tmp_path, trials=5, budget={"epochs": 30})
    assert len(again.trials.waiting) == waiting
    train(again)
    assert not again.trials.waiting


def test_patience_that_a_promoted_trial_renews_replays(tmp_path: Path) -> None:
    """What was spent stays spent: the fixture that replays every run compares the choices."""
    for seed in range(3):
        search = coordinator(tmp_path / str(seed), budget={"patience": 10}, seed=seed)
        train(search)
        assert search.is_finished
