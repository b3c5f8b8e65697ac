"""A plain function that reports, anywhere in its own loops and callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.record.folder import RunFolder, open_run
from search.lifecycle import start_search
from spaces.checks import parse_experiment
from spaces.code import find
from spaces.project import project_at
from spaces.training_config import CodeConfig
from tests.support import inline
from trainables.reports import EpochReport
from trainables.user_code.training import CodeTraining

CODE = """
import contextvars, threading
import torch

where = contextvars.ContextVar("where", default="outside")
seen = []

def train(config, context):
    weight = context.load() or 0.0
    try:
        for epoch in range(context.epoch, context.max_epochs):
            weight += config["rate"]
            context.save(weight)
            callback(context, {"val_loss": -weight, "epoch_trained": epoch + 1})
    finally:
        seen.append(("end", context.should_stop, context.epoch))

def callback(context, metrics):
    context.report(metrics)

def once(config, context):
    context.report({"val_loss": 1.0})

def returns_after(config, context):
    context.report({"val_loss": 1.0})
    return {"val_loss": 2.0}

def survives(config, context):
    for epoch in range(1000):
        try:
            context.report({"val_loss": float(epoch)})
        except BaseException as error:
            seen.append(type(error).__name__)

def breaks(config, context):
    context.report({"val_loss": 1.0})
    raise ZeroDivisionError("in the second epoch")

def without_gradients(config, context):
    with torch.inference_mode():
        context.report({"val_loss": 1.0})
        seen.append(torch.is_inference_mode_enabled())
    where.set("inside")
    context.report({"val_loss": 1.0})
    seen.append(where.get())

def in_a_thread(config, context):
    problems = []
    def report():
        try:
            context.report({"val_loss": 1.0})
        except RuntimeError as error:
            problems.append(str(error))
    thread = threading.Thread(target=report)
    thread.start()
    thread.join()
    raise RuntimeError(problems[0])

def does_both(config, context):
    yield {"val_loss": 1.0}
    context.report({"val_loss": 1.0})

def gives_a_generator(config, context):
    return steps(context)

def steps(context):
    for epoch in range(context.max_epochs):
        yield {"val_loss": 1.0}

def does_nothing(config, context):
    pass

def draws(config, context):
    for _ in range(3):
        context.report({"val_loss": float(torch.rand(()))})
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    file = tmp_path / "plain.py"
    file.write_text(CODE)
    return file


def training(code: Path, function: str, epochs: int = 4, **settings: Any) -> CodeTraining:
    config = CodeConfig(
        trainable=f"{code}:{function}",
        settings={"rate": 0.5, **settings},
        metric={"name": "val_loss", "mode": "min"},
        epochs=epochs,
        max_epochs=epochs,
        seed=1,
        threads=1,
    )
    return CodeTraining(config, torch.device("cpu"))


def seen_by(training: CodeTraining) -> list[Any]:
    reference = find(training.config.trainable)
    found: list[Any] = project_at(reference.root).load(reference).seen
    return found


def test_each_report_is_an_epoch(code: Path) -> None:
    reports = [*training(code, "train")]
    assert reports[0] == EpochReport(1, {"val_loss": -0.5, "epoch_trained": 1.0})
    assert [report.epoch for report in reports] == [1, 2, 3, 4]


def test_a_stop_runs_its_finally_blocks(code: Path) -> None:
    stopped = training(code, "train")
    next(stopped)
    next(stopped)
    stopped.close()
    assert seen_by(stopped) == [("end", True, 2)]


def test_it_goes_on_from_what_it_saved(code: Path) -> None:
    first = training(code, "train")
    next(first)
    next(first)
    second = training(code, "train")
    second.load_state_dict(first.state_dict())
    assert [report.metrics["val_loss"] for report in second] == [-1.5, -2.0]


def test_code_may_end_before_its_last_epoch(code: Path) -> None:
    assert [report.epoch for report in training(code, "once")] == [1]
    assert [report.metrics["val_loss"] for report in training(code, "returns_after")] == [1.0]


def test_code_that_survives_its_stop_does_not_hang(code: Path) -> None:
    stubborn = training(code, "survives", epochs=1)
    next(stubborn)
    stubborn.close()
    assert {*seen_by(stubborn)} <= {"TrialStopped", "GreenletExit"}


def test_an_exception_of_the_code_passes(code: Path) -> None:
    broken = training(code, "breaks")
    next(broken)
    with pytest.raises(ZeroDivisionError, match="in the second epoch") as caught:
        next(broken)
    assert caught.traceback[-1].name == "breaks"


def test_where_the_code_stands_is_not_where_its_driver_is(code: Path) -> None:
    inside = training(code, "without_gradients", epochs=9)
    next(inside)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    next(inside)
    with pytest.raises(StopIteration):
        next(inside)
    assert seen_by(inside) == [True, "inside"]


def test_trainings_that_take_turns_draw_what_each_would_draw_alone(code: Path) -> None:
    alone = [report.metrics for report in training(code, "draws", epochs=3)]
    one, other = (training(code, "draws", epochs=3) for _ in range(2))
    turns = [(next(one).metrics, next(other).metrics) for _ in range(3)]
    assert turns == [(metrics, metrics) for metrics in alone]


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        ("in_a_thread", "must be called in the thread in which the training began"),
        ("does_both", "is for functions that do not yield their metrics"),
    ],
)
def test_a_report_at_the_wrong_place_says_so(code: Path, function: str, rule: str) -> None:
    with pytest.raises(RuntimeError, match=rule):
        [*training(code, function)]


def test_a_function_that_gives_a_generator_is_run_by_that(code: Path) -> None:
    assert len([*training(code, "gives_a_generator")]) == 4


def test_a_function_that_does_nothing_has_no_epochs(code: Path) -> None:
    assert [*training(code, "does_nothing")] == []


def test_a_search_of_a_reporting_function_is_stopped_and_resumed(
    code: Path, tmp_path: Path
) -> None:
    experiment = parse_experiment(
        {
            "name": "plain",
            "trainable": f"{code}:train",
            "space": {"rate": {"low": 0.0, "high": 1.0}},
            "metric": "val_loss",
            "scheduler": {"max_epochs": 9},
            "budget": {"trials": 8},
        }
    )
    whole, parted = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parted")
    start_search(experiment, whole, inline.host())
    inline.interrupted(experiment, parted, steps=11)
    inline.resumed(parted)
    _, _, trials = open_run(whole.path)
    _, _, again = open_run(parted.path)
    assert [(t.state, t.epoch) for t in trials] == [(t.state, t.epoch) for t in again]
    assert trials.counts()["stopped"]
    assert not trials.counts()["failed"]
