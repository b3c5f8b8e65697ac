from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from analysis.record.events import Created, Finished, Report, Started
from analysis.record.folder import RunFolder, experiment_of
from analysis.record.journal import Journal, read_journal
from search.control.coordinator import Coordinator
from search.rerun.replay import replay_run
from spaces.problems import InputError
from tests.support import examples

BASELINE = {"lr": 0.001, "activation": "relu"}


def told(folder: Path) -> list[tuple[Any, ...]]:
    """What the journal says of trials, without the times."""
    rows: list[tuple[Any, ...]] = []
    for event in read_journal(folder / "journal.jsonl"):
        if isinstance(event, Created):
            rows.append(("created", event.trial, event.params, event.seed))
        elif isinstance(event, Report):
            rows.append(("report", event.trial, event.epoch, event.metrics, event.decision))
        elif isinstance(event, Finished):
            rows.append(("finished", event.trial, event.state, event.epoch))
    return rows


def test_a_search_ends_with_every_trial_in_a_state(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    counts = coordinator.trials.counts()
    assert counts["running"] == counts["failed"] == counts["diverged"] == 0
    assert counts["completed"] >= 1
    assert counts["completed"] + counts["stopped"] == 12
    assert coordinator.is_over


def test_the_same_experiment_gives_the_same_journal_but_for_times(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        examples.run_all(examples.coordinator(tmp_path / name), workers=1)
    assert told(tmp_path / "a") == told(tmp_path / "b")


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "cmaes"])
@pytest.mark.parametrize("reports", [1, 4, 11, 20])
def test_a_run_that_is_cut_off_and_resumed_decides_as_the_whole_one(
    tmp_path: Path, sampler: str, reports: int
) -> None:
    changes = {"sampler": {"name": sampler}}
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    examples.run_all(examples.coordinator(tmp_path / "whole", **changes), workers=1)
    examples.run_all(examples.coordinator(tmp_path / "cut", **changes), workers=1, reports=reports)
    examples.run_all(examples.resumed(tmp_path / "cut", **changes), workers=1)
    assert told(tmp_path / "cut") == told(tmp_path / "whole")


def test_unfinished_trials_are_handed_out_first(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    for _ in range(3):
        coordinator.next_trial()
    examples.report(coordinator, 1, 1)
    again = examples.resumed(tmp_path)
    handed = [again.next_trial() for _ in range(4)]
    assert [trial.number for trial in handed if trial] == [0, 1, 2, 3]
    assert [trial.epoch for trial in handed if trial] == [0, 1, 0, 0]


def test_a_report_that_is_handed_in_twice_gets_the_recorded_decision(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    for number in range(4):
        coordinator.next_trial()
        examples.report(coordinator, number, 1, value=0.9 - number / 10)
    before = told(tmp_path)
    assert examples.report(coordinator, 3, 1, value=0.99) == "stop"
    assert examples.report(coordinator, 0, 1, value=0.0) == "continue"
    assert told(tmp_path) == before


def test_a_trial_that_was_stopped_as_the_driver_died_is_finished_on_resume(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    for number in range(3):
        coordinator.next_trial()
        examples.report(coordinator, number, 1, value=0.9 - number / 10)
    file = tmp_path / "journal.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    assert b'"finished"' in lines[-1]
    file.write_bytes(b"".join(lines[:-1]))
    assert examples.resumed(tmp_path).trials.by_number[2].state == "stopped"


def test_the_baseline_is_trial_0_and_always_goes_to_the_end(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, baseline=BASELINE)
    trials = [coordinator.next_trial() for _ in range(5)]
    assert trials[0] is not None
    assert trials[0].params == BASELINE
    for number in (1, 2, 3, 4):
        examples.report(coordinator, number, 1, value=0.9)
    decisions = [examples.report(coordinator, 0, epoch, value=0.01) for epoch in range(1, 10)]
    assert decisions == ["continue"] * 8 + ["stop"]
    assert coordinator.trials.by_number[0].state == "completed"


def test_every_repeat_of_the_baseline_has_a_seed_of_its_own_and_goes_to_the_end(
    tmp_path: Path,
) -> None:
    coordinator = examples.coordinator(tmp_path, baseline=BASELINE, repeats=2)
    trials = [coordinator.next_trial() for _ in range(6)]
    params = [trial.params for trial in trials if trial is not None]
    assert params[0] == params[1] == BASELINE
    assert params[2] == params[3] != params[4] == params[5]
    assert len({trial.seed for trial in trials if trial is not None}) == 6
    for number in (2, 3, 4):
        examples.report(coordinator, number, 1, value=0.9)
    assert examples.report(coordinator, 1, 1, value=0.01) == "continue"
    assert examples.report(coordinator, 5, 1, value=0.01) == "stop"


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["val_accuracy", "train_loss"])
def test_a_trial_that_is_not_finite_has_diverged_at_once(
    tmp_path: Path, value: float, name: str
) -> None:
    coordinator = examples.coordinator(tmp_path, baseline=BASELINE)
    coordinator.next_trial()
    metrics = {"val_accuracy": 0.5, "train_loss": 1.0, name: value}
    assert coordinator.report(0, 1, metrics) == "stop"
    assert coordinator.trials.by_number[0].state == "diverged"
    assert coordinator.trials.ranked(coordinator.experiment.metric) == []


def test_a_metric_that_is_never_reported_is_named(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    with pytest.raises(InputError, match=r"metric.name: unknown metric 'val_accuracy'.*accuracy"):
        coordinator.report(0, 1, {"accuracy": 1.0})


def test_with_scope_best_a_trial_is_worth_its_best_epoch(tmp_path: Path) -> None:
    metric = {"name": "val_accuracy", "scope": "best"}
    coordinator = examples.coordinator(tmp_path, metric=metric)
    coordinator.next_trial()
    for epoch, value in enumerate((0.2, 0.8, 0.5), start=1):
        examples.report(coordinator, 0, epoch, value)
    trial = coordinator.trials.by_number[0]
    assert trial.value(coordinator.experiment.metric) == 0.8
    assert coordinator.policy.rungs.by_epoch[3].ranked == [(-0.8, 0)]


def test_no_trial_is_handed_out_after_an_interrupt(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    coordinator.is_interrupted = True
    assert coordinator.next_trial() is None
    coordinator.close()
    assert b'"reason":"interrupted"' in (tmp_path / "journal.jsonl").read_bytes()
    assert coordinator.trials.by_number[0].state == "running"


def test_a_failed_trial_keeps_its_reason(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    coordinator.end(0, "failed", "Traceback: too far")
    again = examples.resumed(tmp_path)
    assert again.trials.by_number[0].reason == "Traceback: too far"
    assert again.trials.counts()["failed"] == 1


def test_code_that_ends_before_its_first_epoch_has_failed(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    coordinator.end_early(0)
    assert coordinator.trials.by_number[0].state == "failed"


@pytest.mark.parametrize("value", [math.nan, 1e9])
def test_another_loss_does_not_decide_divergence(tmp_path: Path, value: float) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    for epoch, loss in enumerate((1.0, value), start=1):
        metrics = {"val_accuracy": 0.5, "aux_loss": loss, "loss": loss}
        assert coordinator.report(0, epoch, metrics) == "continue"


def test_a_loss_that_is_the_metric_decides_divergence(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    yield {'my_loss': 1.0}\n")
    coordinator = examples.own_code_coordinator(tmp_path, metric={"name": "my_loss"})
    coordinator.next_trial()
    assert coordinator.report(0, 1, {"my_loss": 1.0}) == "continue"
    assert coordinator.report(0, 2, {"my_loss": 1e9}) == "stop"
    assert coordinator.trials.by_number[0].reason == "my_loss has exploded since epoch 1"


def test_a_run_of_an_earlier_version_keeps_the_rule_that_any_loss_decides(tmp_path: Path) -> None:
    """Its decisions replay; the fixture that replays every run compares them."""
    experiment = examples.experiment()
    coordinator = Coordinator(experiment, Journal(tmp_path / "journal.jsonl"))
    older = examples.started(experiment).model_dump(exclude={"divergence"})
    coordinator.start(Started.model_validate(older))
    coordinator.next_trial()
    coordinator.next_trial()
    assert coordinator.report(0, 1, {"val_accuracy": 0.5, "loss": math.nan}) == "stop"
    assert coordinator.trials.by_number[0].state == "diverged"
    again = examples.resumed(tmp_path)
    assert again.report(1, 1, {"val_accuracy": 0.5, "loss": math.nan}) == "stop"
    assert again.trials.by_number[1].reason == "loss is not finite"


def test_a_report_that_is_the_last_completes_a_trial_wherever_it_stands(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    for number in range(9):  # falling, so that ASHA would stop the later ones at epoch 1
        coordinator.next_trial()
        metrics = {"val_accuracy": 0.9 - number / 10}
        assert coordinator.report(number, 1, metrics, is_last=True) == "stop"
    assert {trial.state for trial in coordinator.trials} == {"completed"}


def test_a_metric_that_is_absent_in_an_epoch_is_told_as_that(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    examples.report(coordinator, 0, 1)
    told = "val_accuracy, the metric of the search, is absent at epoch 2, but was there before"
    with pytest.raises(InputError, match=told):
        coordinator.report(0, 2, {"train_loss": 1.0})
    assert coordinator.trials.by_number[0].epoch == 1
    assert coordinator.report(0, 2, {"val_accuracy": 0.5, "extra": 1.0}) == "continue"
    assert coordinator.report(0, 3, {"val_accuracy": 0.5}) == "continue"  # others may be absent


def test_a_loss_that_explodes_is_divergence_even_while_it_is_finite(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    for epoch, loss in ((1, 2.3), (2, 90.0)):
        assert coordinator.report(0, epoch, {"val_accuracy": 0.5, "train_loss": loss}) == "continue"
    assert coordinator.report(0, 3, {"val_accuracy": 0.5, "train_loss": 1e5}) == "stop"
    assert coordinator.trials.by_number[0].state == "diverged"
    assert coordinator.policy.rungs.by_epoch[3].ranked == [(math.inf, 0)]


def test_restarts_are_counted_over_a_resume(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, max_failures=3)
    coordinator.next_trial()
    coordinator.attempt(0, "killed")
    assert coordinator.attempts_left(0) == 2
    assert examples.resumed(tmp_path, max_failures=3).attempts_left(0) == 2


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random"])
def test_with_conditions_and_four_at_a_time_a_rebuilt_run_proposes_the_same(
    sampler: str, tmp_path: Path
) -> None:
    space = {
        "lr": {"low": 1e-4, "high": 1.0, "log": True},
        "optimizer": ["sgd", "adam", "adamw"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        "weight_decay": {"low": 1e-6, "high": 0.1, "log": True, "when": {"optimizer": "adamw"}},
    }
    changes: dict[str, Any] = {
        "space": space,
        "sampler": {"name": sampler},
        "budget": {"trials": 16 if sampler == "gp" else 40},
    }
    examples.run_all(examples.coordinator(tmp_path, **changes), workers=4)
    run = RunFolder(tmp_path)
    assert replay_run(run, experiment_of(run), proposals=True).difference is None
    cut = tmp_path / "cut"
    cut.mkdir()
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    created = [place for place, line in enumerate(lines) if b'"created"' in line]
    for place in created[len(created) // 3 :: 5]:
        (cut / "journal.jsonl").write_bytes(b"".join(lines[:place]))
        again = examples.resumed(cut, **changes)
        for _ in range(len(again.trials.running)):
            again.next_trial()
        trial = again.next_trial()
        assert trial is not None
        assert trial.params == json.loads(lines[place])["params"]


def test_a_report_out_of_order_never_reaches_the_journal(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(InputError, match="trial 0 reports epoch 2 after epoch 0"):
        examples.report(coordinator, 0, 2)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_a_reason_that_no_utf_8_text_can_hold_is_written_as_an_escape(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    coordinator.next_trial()
    coordinator.end(0, "failed", "no such file: caf\udce9.png")
    assert examples.resumed(tmp_path).trials.by_number[0].reason == "no such file: caf\\udce9.png"
