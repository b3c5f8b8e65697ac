"""What is said after a search: which way is better, why trials were lost, when it has failed."""

from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from search.cli.render import print_outcome
from search.control.coordinator import Coordinator
from tests.support import examples

OOM = "Traceback …\nRuntimeError: out of memory"


def outcome(coordinator: Coordinator, folder: Path) -> tuple[int, str]:
    """The exit code, and what is printed."""
    out = io.StringIO()
    code = print_outcome(folder, coordinator, Console(file=out, width=200))
    return code, out.getvalue()


def test_a_search_in_which_every_trial_diverged_has_failed_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    for number in range(3):
        coordinator.next_trial()
        coordinator.report(number, 1, {"val_accuracy": 0.1, "train_loss": math.nan})
    coordinator.next_trial()
    coordinator.report(3, 1, {"val_accuracy": math.inf})
    assert outcome(coordinator, tmp_path) == (1, "")
    assert capsys.readouterr().err.splitlines() == [
        "error: every trial diverged, so there is no val_accuracy to compare",
        "3 of 4 trials diverged: train_loss is not finite",
        "1 of 4 trials diverged: val_accuracy is not finite",
    ]


def test_a_search_without_a_value_tells_each_reason_once_with_a_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    for number, reason in enumerate((OOM, OOM, "KeyError: \x1b[2J", "a", "b", OOM)):
        coordinator.next_trial()
        coordinator.end(number, "failed", reason)
    coordinator.next_trial()
    coordinator.report(6, 1, {"val_accuracy": math.nan})
    coordinator.next_trial()  # one that the budget left unfinished
    assert outcome(coordinator, tmp_path) == (1, "")
    assert capsys.readouterr().err.splitlines() == [
        "error: no trial has a value, so there is no val_accuracy to compare",
        "3 of 8 trials failed: RuntimeError: out of memory",
        "1 of 8 trials failed: KeyError: \\x1b[2J",
        "1 of 8 trials failed: a",
        "2 more failed or diverged for other reasons",
        "trial 5:",
        "Traceback …",
        "RuntimeError: out of memory",
    ]


@pytest.mark.parametrize(
    ("metric", "better"), [("val_accuracy", "higher is better"), ("val_loss", "lower is better")]
)
def test_the_table_says_which_way_is_better_and_why_trials_were_lost(
    tmp_path: Path, metric: str, better: str
) -> None:
    coordinator = examples.coordinator(tmp_path, metric={"name": metric})
    for number in range(3):
        coordinator.next_trial()
        coordinator.end(number, "failed", OOM) if number else coordinator.report(
            number, 1, {metric: 0.5}
        )
    code, printed = outcome(coordinator, tmp_path)
    assert code == 0
    assert f"{metric}: {better}" in printed
    assert "2 of 3 trials failed: RuntimeError: out of memory\n" in printed
