"""First mistakes in own code are told in words that say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.record.folder import RunFolder, open_run
from search.lifecycle import start_search
from spaces import InputError
from spaces.checks import parse_experiment
from spaces.problems import RunError
from tests.support import inline

CODE = """
def takes_one(config):
    yield {"val_loss": 1.0}

def takes_three(config, context, extra):
    yield {"val_loss": 1.0}

def takes_any(*args):
    yield {"val_loss": 1.0}

def takes_more(config, context, verbose=False):
    yield {"val_loss": 1.0}

def forgets(config, context):
    loss = 0.5

def yields_a_number(config, context):
    loss = 0.5
    yield loss  # here

def reports_a_number(config, context):
    loss = 0.5
    context.report(loss)  # here

def fails(config, context):
    yield {"val_loss": broken()}  # here

def reports_and_fails(config, context):
    context.report({"val_loss": broken()})  # here

def broken():
    try:
        return 1 / 0
    except ZeroDivisionError:
        raise LookupError("broken")

def goes_on(config, context):
    while True:
        try:
            yield 0.5  # here
        except TypeError:
            pass

def space(trial, more):
    trial.suggest_float("x", 0.0, 1.0)
"""


def experiment(folder: Path, function: str, **changes: Any) -> Any:
    (folder / "mine.py").write_text(CODE)
    data = {
        "name": "mine",
        "trainable": f"{folder}/mine.py:{function}",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "metric": "val_loss",
        "scheduler": {"max_epochs": 1},
        "budget": {"trials": 1},
    }
    return parse_experiment({**data, **changes})


@pytest.mark.parametrize(
    ("function", "received"),
    [
        ("takes_one", "got def takes_one(config)"),
        ("takes_three", "got def takes_three(config, context, extra)"),
    ],
)
def test_a_function_that_takes_something_else_is_refused_before_the_start(
    function: str, received: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        experiment(tmp_path, function)
    assert str(caught.value) == (
        f"trainable: must be called like def {function}(config, context), {received}"
    )


@pytest.mark.parametrize("function", ["takes_any", "takes_more"])
def test_a_function_may_take_more_that_has_defaults(function: str, tmp_path: Path) -> None:
    experiment(tmp_path, function)


def test_a_space_that_takes_something_else_is_refused_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be called like def space\(trial\), got def space"):
        experiment(tmp_path, "takes_any", space=f"{tmp_path}/mine.py:space")


def failure(folder: Path, function: str) -> str:
    with pytest.raises(RunError) as caught:
        start_search(experiment(folder, function), RunFolder(folder / "run"), inline.host())
    assert not open_run(folder / "run")[2].finished
    return str(caught.value)


def test_code_that_reports_nothing_is_told_what_to_write(tmp_path: Path) -> None:
    told = failure(tmp_path, "forgets")
    assert 'yield {"val_loss": loss}, or call context.report({"val_loss": loss})' in told
    assert "stops here, and none counts as tried (--keep-going counts them as failed" in told


@pytest.mark.parametrize("function", ["yields_a_number", "reports_a_number", "goes_on"])
def test_a_number_instead_of_metrics_is_told_with_what_to_write(
    function: str, tmp_path: Path
) -> None:
    told = failure(tmp_path, function)
    assert (
        'TypeError: each epoch must report a mapping of metric names to numbers, such as {"val'
        in told
    )
    assert "# here" in told


@pytest.mark.parametrize(
    "function", ["yields_a_number", "reports_a_number", "fails", "reports_and_fails"]
)
def test_a_traceback_of_own_code_has_only_lines_of_own_code(function: str, tmp_path: Path) -> None:
    told = failure(tmp_path, function)
    places = [line for line in told.splitlines() if line.strip().startswith("File ")]
    assert all(f'File "{tmp_path}/mine.py"' in place for place in places)
    assert "# here" in told
    if "fails" in function:
        assert "ZeroDivisionError" in told  # of which the other error came
