"""The smallest and the largest space: a report comes of both, the second's in a bounded time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from analysis.insight.axes import axes_of
from analysis.insight.observations import observed_at
from analysis.insight.screening import MOST_PARAMETERS, screened
from analysis.report.build import Report, write_report
from search.cli.main import main
from search.cli.render import print_outcome
from search.cli.report import report_again
from search.export.report import report_of
from tests.support import examples


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_an_empty_space_is_searched_and_reported(
    tmp_path: Path, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = {} if sampler == "grid" else {"trials": 4}
    coordinator = examples.coordinator(tmp_path, space={}, sampler={"name": sampler}, budget=budget)
    examples.run_all(coordinator)
    coordinator.close()
    assert print_outcome(tmp_path, coordinator, Console()) == 0
    for command in (["report"], ["report", "--format", "md"], ["status"], ["replay"], ["rebuild"]):
        assert main([command[0], str(tmp_path), *command[1:]]) == 0
    assert "The space is empty" in (tmp_path / "report.html").read_text()
    assert main(["compare", str(tmp_path), "--by", "lr"]) == 2
    assert "unknown parameter 'lr'; valid: there is none" in capsys.readouterr().err


PARAMETERS = 200


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a search of 200 parameters, two of which matter, before it is written."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "own.py").write_text("def train(config, context):\n    yield {}\n")
    space: dict[str, Any] = {
        f"x{n}": [1, 2, 3] if n % 2 else {"low": 0.0, "high": 1.0} for n in range(PARAMETERS)
    }
    coordinator = examples.own_code_coordinator(
        folder,
        space=space,
        budget={"trials": 90},
        sampler={"name": "random"},
        scheduler={"name": "none", "max_epochs": 1},
    )
    draw = np.random.default_rng(0)
    while (trial := coordinator.next_trial()) is not None:
        score = 3.0 * float(trial.params["x151"] or 0) + 2.0 * float(trial.params["x48"] or 0)
        coordinator.report(trial.number, 1, {"score": score + 0.1 * draw.normal()})
    coordinator.close()
    return report_of(folder)


def test_of_many_parameters_those_that_matter_are_looked_at(large: Report) -> None:
    experiment, known = large.material.experiment, list(large.material.trials)
    axes, observed = axes_of(experiment, known), observed_at(experiment, known, 1)
    kept = [axis.name for axis in screened(axes, observed)]
    assert len(kept) == MOST_PARAMETERS
    assert {"x151", "x48"} <= set(kept)
    assert kept == sorted(kept, key=lambda name: int(name[1:]))


def test_the_importance_is_that_of_a_bounded_number_and_says_so(large: Report) -> None:
    (entry,) = large.material.importance
    for shares in entry.shares.values():
        assert len(shares) <= MOST_PARAMETERS
        assert {"x151", "x48"} <= set(list(shares)[:4])
    assert f"{MOST_PARAMETERS} of {PARAMETERS} parameters are looked at" in entry.note


def test_a_finding_reckons_with_the_parameters_that_are_left_out(large: Report) -> None:
    found = [each for each in large.material.findings if each.kind == "level"]
    assert ("x151",) in [each.parameters for each in found]
    assert {name for each in found for name in each.parameters} <= {"x151", "x48"}
    assert all(each.miss <= 0.01 * MOST_PARAMETERS / PARAMETERS for each in found)


def test_the_report_is_written_first_without_what_takes_long(
    large: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    run = large.material.run
    assert large.takes_long
    write_report(large.first(), run.path / "first.html")
    assert "This is being worked out" in (run.path / "first.html").read_text()
    assert report_again(run) == run.report_file()
    told = capsys.readouterr().err
    assert "report.html is written; adding what mattered" in told
    whole = run.report_file().read_text()
    assert "This is being worked out" not in whole
    assert "parameters are looked at" in whole


def test_the_report_of_a_small_space_is_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close()
    assert not report_of(tmp_path).takes_long
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
