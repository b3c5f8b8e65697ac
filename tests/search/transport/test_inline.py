"""The inline transport: no Ray, this process's terminal and threads, any order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from threadpoolctl import threadpool_info

from analysis.record.events import Attempt
from analysis.record.folder import RunFolder, open_run, status_of
from search.control.view import Silent
from search.lifecycle import start_search
from search.session import Host
from search.transport.inline import Inline
from spaces.problems import InputError
from tests.support import examples, inline
from tests.support.invariants import events_of, trials_in
from tests.support.processes import code_file
from tests.support.source import ROOT

CODE = """
import pathlib, sys

def train(config, context):
    total, begun = context.state or 0.0, context.epoch
    for epoch in range(begun, context.max_epochs):
        print("epoch", epoch + 1, "from", begun)
        print("to standard error", file=sys.stderr)
        lives = pathlib.Path(__file__).with_name("lives")
        if epoch == 1 and context.trial == 0 and config["deaths"]:
            count = len(lives.read_text()) if lives.exists() else 0
            if count < config["deaths"]:
                lives.write_text("x" * (count + 1))
                raise MemoryError("no room")
        total += config["x"]
        context.save(total)
        yield {"score": total}
"""

WITHOUT = """
import sys
from search.cli.main import main

refused, *arguments = sys.argv[1:]
code = main(["search", *arguments])
prefixes = tuple(f"{name}." for name in refused.split(","))
found = sorted(name for name in sys.modules if f"{name}.".startswith(prefixes))
assert not found, found[:5]
sys.exit(code)
"""


def searched(
    folder: Path, transport: Inline | None = None, deaths: int = 0, **changes: Any
) -> RunFolder:
    """A search of 4 trials of 3 epochs, in this process; trial 0 may want memory so often."""
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(CODE)
    given = {"scheduler": {"name": "none", "max_epochs": 3}, "budget": {"trials": 4}}
    experiment = examples.own_code_experiment(
        folder, train={"deaths": deaths}, **{**given, **changes}
    )
    run = RunFolder(folder / "run")
    start_search(experiment, run, Host(transport=transport or Inline()))
    return run


def scores(run: RunFolder) -> list[list[float]]:
    return [[r.metrics["score"] for r in trial.reports] for trial in trials_in(run.path)]


def test_an_inline_search_with_a_confirmation_never_imports_ray(tmp_path: Path) -> None:
    given = {"engine": "inline", "baseline": {"step": 0.5}, "confirm": {"top": 2, "seeds": 2}}
    code = "def train(config, context):\n    yield {'score': config['step']}\n"
    file = code_file(tmp_path, code, budget={"trials": 3}, **given)
    search_without("ray", file, "--run", str(tmp_path / "run"))


OPTIMIZERS = {
    "name": "optimizers",
    "dataset": "digits",
    "space": {"optimizer": {"choices": ["sgd", "adam", "adamw", "rmsprop"]}},
    "sampler": "grid",
    "scheduler": {"name": "asha", "max_epochs": 2, "reduction_factor": 2},
}


@pytest.mark.parametrize("engine", ["inline", "fused"])
def test_no_search_waits_for_the_import_of_what_it_does_not_use(
    tmp_path: Path, engine: str
) -> None:
    file = tmp_path / "optimizers.yaml"
    file.write_text(yaml.safe_dump({**OPTIMIZERS, "engine": engine}))
    unused = "torch._dynamo,sklearn,scipy.stats"  # two seconds each, or one
    search_without(unused, str(file), "--run", str(tmp_path / "run"))
    assert len(trials_in(tmp_path / "run").by_number) == 4


def search_without(modules: str, *arguments: str) -> None:
    """A search in a process of its own, which must not import these, with commas between."""
    command = [sys.executable, "-c", WITHOUT, modules, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_what_own_code_prints_is_on_the_terminal_and_in_the_log_of_its_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = searched(tmp_path, budget={"trials": 2})
    printed = "".join(f"epoch {epoch} from 0\n" for epoch in (1, 2, 3))
    shown = capsys.readouterr()
    assert shown.out == 2 * printed
    assert shown.err == 6 * "to standard error\n"
    for number in range(2):
        log = run.log_file(number).read_text()
        assert [line for line in log.splitlines(keepends=True) if "epoch" in line] == (
            printed.splitlines(keepends=True)
        )
        assert log.count("to standard error\n") == 3


def test_torch_has_as_many_threads_afterwards_as_before(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        code = "import torch\ndef train(config, context):\n"
        (tmp_path / "own.py").write_text(f"{code}    yield {{'score': torch.get_num_threads()}}\n")
        experiment = examples.own_code_experiment(tmp_path, budget={"trials": 1})
        coordinator = start_search(experiment, RunFolder(tmp_path / "run"), Host(engine="inline"))
        assert coordinator.trials.by_number[0].reports[0].metrics["score"] == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


THREADS = """
import os, sklearn.ensemble, torch
from threadpoolctl import threadpool_info

def train(config, context):
    numbers = {held["num_threads"] for held in threadpool_info()}
    yield {"score": sum(numbers) / len(numbers), "omp": int(os.environ["OMP_NUM_THREADS"])}
"""


def test_every_library_has_the_threads_of_the_trial_and_afterwards_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    (tmp_path / "own.py").write_text(THREADS)
    changes = {"budget": {"trials": 1}, "resources": {"cpus": 2}}
    experiment = examples.own_code_experiment(tmp_path, **changes)
    before = {held["filepath"]: held["num_threads"] for held in threadpool_info()}
    coordinator = start_search(experiment, RunFolder(tmp_path / "run"), Host(engine="inline"))
    assert coordinator.trials.by_number[0].reports[0].metrics == {"score": 2.0, "omp": 2.0}
    assert os.environ["OMP_NUM_THREADS"] == "3"
    after = {held["filepath"]: held["num_threads"] for held in threadpool_info()}
    assert {file: after[file] for file in before} == before


def newest(running: Sequence[int]) -> int:
    return running[-1]


def in_turn(running: Sequence[int]) -> int:
    in_turn.count += 1  # type: ignore[attr-defined]
    return running[in_turn.count % len(running)]  # type: ignore[attr-defined]


in_turn.count = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("choose", [newest, in_turn])
def test_trials_that_are_trained_side_by_side_have_the_scores_that_they_have_alone(
    choose: Any, tmp_path: Path
) -> None:
    changes = {"sampler": {"name": "random"}}  # which learns from no trial
    alone = searched(tmp_path / "alone", **changes)
    beside = searched(tmp_path / "beside", Inline(slots=2, choose=choose), **changes)
    assert scores(beside) == scores(alone)
    order = [line.split('"trial":')[1][0] for line in _reports(beside)]
    assert order != sorted(order)


def _reports(run: RunFolder) -> list[str]:
    text = run.journal_file.read_text()
    return [line for line in text.splitlines() if '"event":"report"' in line]


def test_built_in_models_side_by_side_have_the_scores_that_they_have_alone(tmp_path: Path) -> None:
    """Their dropout draws from generators of their own."""
    experiment = examples.experiment(
        model={"family": "mlp", "hidden": [8], "dropout": 0.3},
        sampler={"name": "random"},
        scheduler={"name": "none", "max_epochs": 2},
        budget={"trials": 3},
    )
    found = []
    for name, transport in (("a", Inline()), ("b", Inline(slots=2, choose=newest))):
        start_search(experiment, RunFolder(tmp_path / name), Host(transport=transport))
        trials = trials_in(tmp_path / name)
        found.append([report.metrics for trial in trials for report in trial.reports])
    assert found[0] == found[1]


def test_what_needs_processes_of_their_own_is_refused_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        searched(tmp_path, isolate=True, epoch_timeout_seconds=5.0)
    told = str(refused.value)
    assert "isolate: needs processes beside this one" in told
    assert "epoch_timeout_seconds: needs processes beside this one" in told
    assert not (tmp_path / "run").exists()


def test_want_of_memory_starts_a_trial_again_from_its_checkpoint(tmp_path: Path) -> None:
    run, sound = searched(tmp_path / "a", deaths=1), searched(tmp_path / "b")
    (attempt,) = events_of(run.path, Attempt)
    assert (attempt.trial, attempt.reason) == (0, "MemoryError: no room")
    assert scores(run) == scores(sound)
    assert "epoch 2 from 1" in run.log_file(0).read_text()


def test_a_trial_that_wants_memory_each_time_is_given_up_after_max_failures(
    tmp_path: Path,
) -> None:
    run = searched(tmp_path, deaths=9, max_failures=2)
    first, *others = trials_in(run.path)
    assert (first.state, first.reason, first.attempts) == ("failed", "MemoryError: no room", 2)
    assert {trial.state for trial in others} == {"completed"}
    assert (tmp_path / "lives").read_text() == "xxx"


@pytest.mark.parametrize("is_in_code", [True, False])
def test_ctrl_c_without_handlers_leaves_a_journal_that_says_interrupted(
    is_in_code: bool, tmp_path: Path
) -> None:
    """As in a notebook: in the midst of the user's code, or between two epochs."""
    code = "def train(config, context):\n    yield {'score': 1.0}\n    raise KeyboardInterrupt\n"
    (tmp_path / "own.py").write_text(code if is_in_code else CODE)
    experiment = examples.own_code_experiment(tmp_path, train={"deaths": 0})
    run = RunFolder(tmp_path / "run")
    host = inline.host() if is_in_code else inline.host(steps=1)
    with pytest.raises(KeyboardInterrupt):
        start_search(experiment, run, host)
    folder, _, trials = open_run(run.path)
    assert trials.ended is not None
    assert trials.ended.reason == "interrupted"
    assert status_of(folder, experiment, trials, live=False)["state"] == "interrupted"
    assert trials.counts()["running"] == 1


def test_a_session_works_in_a_thread_and_leaves_every_signal_handler_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[Any] = []
    monkeypatch.setattr(signal, "signal", lambda *given: installed.append(given))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(searched, tmp_path).result(timeout=60)
    assert trials_in(run.path).counts()["completed"] == 4
    assert installed == []


def test_a_view_is_told_of_what_starts_again(tmp_path: Path) -> None:
    view = Silent()
    (tmp_path / "own.py").write_text(CODE)
    experiment = examples.own_code_experiment(
        tmp_path, train={"deaths": 1}, scheduler={"max_epochs": 3}, budget={"trials": 1}
    )
    start_search(experiment, RunFolder(tmp_path / "run"), inline.host(view))
    assert "trial 0 starts again: MemoryError: no room" in view.notes
