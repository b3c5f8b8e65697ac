"""What a command says where nothing was gained, nothing has a value, or more is still to come."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from analysis.record.folder import RunFolder
from search.cli.main import main
from search.cli.progress import Progress
from search.cli.render import print_outcome
from search.tools.describe import cost_in_words
from tests.support import examples

BASELINE = {"lr": 0.1, "activation": "relu"}


def outcome(folder: Path, values: list[float], **changes: Any) -> str:
    """What is printed after a search in which trials had these values, the baseline first."""
    made: dict[str, Any] = {"baseline": BASELINE, "budget": {"trials": len(values)}}
    scheduler = {"name": "none", "max_epochs": 1}
    coordinator = examples.coordinator(folder, scheduler=scheduler, **made, **changes)
    for value in values:
        trial = coordinator.next_trial()
        assert trial is not None
        examples.report(coordinator, trial.number, 1, value)
    coordinator.close()
    out = io.StringIO()
    assert print_outcome(folder, coordinator, Console(file=out, width=200)) == 0
    return out.getvalue()


def test_where_the_baseline_is_the_best_nothing_beat_it(tmp_path: Path) -> None:
    told = outcome(tmp_path, [0.9, 0.5])
    assert "nothing beat the baseline (trial 0): 0.9" in told
    assert "the best is" not in told


def test_only_where_no_confirmation_follows_it_is_said_to_lack(tmp_path: Path) -> None:
    for name, changes in (("without", {}), ("with", {"confirm": {"top": 1, "seeds": 2}})):
        (tmp_path / name).mkdir()
        told = outcome(tmp_path / name, [0.5, 0.9], **changes)
        assert "the best is trial 1 with 0.9" in told
        assert ("(not confirmed yet)" in told) is (name == "without")


def test_a_search_that_confirms_writes_one_report_and_gives_no_hint_to_confirm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text("def train(c, x):\n    yield {'val_loss': c['x']}\n")
    data = {
        "name": "own",
        "trainable": "own.py:train",
        "space": {"x": {"low": 0.0, "high": 1.0}},
        "metric": "val_loss",
        "budget": {"trials": 2},
        "confirm": {"top": 1, "seeds": 2},
        "engine": "inline",
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(data))
    assert main(["search", str(tmp_path / "own.yaml"), "--run", str(tmp_path / "run")]) == 0
    told = capsys.readouterr()
    assert told.out.count("report.html") == 1
    assert "shoal confirm" not in told.out
    assert told.err.count("writing ") == 1


def test_best_says_why_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coordinator = examples.coordinator(tmp_path)
    assert main(["best", str(tmp_path)]) == 0
    assert "no trial has begun yet" in capsys.readouterr().out
    for _ in range(2):
        trial = coordinator.next_trial()
        assert trial is not None
        coordinator.end(trial.number, "failed", "LookupError: no such file")
    coordinator.close()
    assert main(["best", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "every trial failed, so there is no val_accuracy to compare" in told
    assert "LookupError: no such file" in told
    assert main(["best", str(tmp_path), "--json"]) == 0
    assert capsys.readouterr().out.strip() == "[]"


def test_a_line_that_says_the_same_is_not_repeated(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path)
    out = io.StringIO()
    with Progress(coordinator, RunFolder(tmp_path), Console(file=out, width=200)) as view:
        coordinator.next_trial()
        for _ in range(3):
            view._shown_at = 0.0
            view.update()
        assert out.getvalue().count("1 running | 0 epochs | starting") == 1
        examples.report(coordinator, 0, 1)
        view._shown_at = 0.0
        view.update()
        assert out.getvalue().count("1 running | 1 epochs") == 1
    coordinator.close()


def test_a_dry_run_says_between_what_the_cost_may_lie() -> None:
    told = cost_in_words(examples.experiment(budget={"trials": 60}, baseline=BASELINE))
    assert told.startswith("at most 540 epochs (about ")
    low, high = told.partition("(about ")[2].partition(":")[0].split(" to ")
    assert 60 * 7 / 3 < int(low) < 60 * 4  # more than a third pass: the first ones always do
    assert int(low) < int(high) < 540
    assert cost_in_words(examples.experiment(budget={"epochs": 100})) == "at most 100 epochs"
    every = examples.experiment(scheduler={"name": "none", "max_epochs": 9})
    assert cost_in_words(every) == "at most 108 epochs"
    waits = {"name": "freeze_thaw", "max_epochs": 9}
    paused = examples.experiment(scheduler=waits, sampler="curves")
    assert cost_in_words(paused) == "at most 108 epochs (about 28)"
    assert cost_in_words(examples.experiment(budget={"hours": 1.0})) == "no limit on epochs"
