"""The whole path without Ray: searches that fail, diverge, end early, are exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import yaml

from analysis.record.folder import open_run
from search.cli.main import main
from tests.support import examples
from tests.support.invariants import trials_in
from tests.support.processes import code_file

SUM = """
import torch

def train(config, context):
    total = torch.zeros(1) if context.state is None else context.state
    for epoch in range(context.epoch, context.max_epochs):
        total = total + config["step"]
        context.save(total)
        yield {"score": total}
"""


def inline_file(folder: Path, code: str, **changes: Any) -> str:
    """An experiment file on own code whose baseline is trial 0."""
    given = {"baseline": {"step": 0.5}, "scheduler": {"max_epochs": 4}, "engine": "inline"}
    return code_file(folder, code, **{**given, "budget": {"trials": 6}, **changes})


def test_a_search_in_which_every_trial_fails_ends_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "def train(config, context):\n    yield {'score': 1 / 0}\n"
    file = inline_file(tmp_path, code, budget={"trials": 5})
    assert main(["search", file, "--run", str(tmp_path / "run"), "--keep-going"]) == 1
    assert trials_in(tmp_path / "run").counts()["failed"] == 5
    error = capsys.readouterr().err
    assert "error: every trial failed, so there is no score to compare" in error
    assert "\n5 of 5 trials failed: ZeroDivisionError: division by zero\n" in error
    assert error.count("Traceback") == 1
    assert len(re.findall(r"trial \d failed: ZeroDivisionError: division by zero\n", error)) == 1
    assert "\n5 trials failed: ZeroDivisionError: division by zero\n" in error


def test_a_baseline_that_fails_at_once_ends_the_search_and_a_resume_goes_on_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import pathlib\nhere = pathlib.Path(__file__).parent\n"
    code += "def train(config, context):\n    (here / 'data').read_text()\n"
    code += "    (context.folder / 'best.pt').write_text(str(context.trial))\n"
    code += "    return {'score': config['step']}\n"
    run = tmp_path / "run"
    file = inline_file(tmp_path, code, budget={"trials": 7}, resources={"cpus": 2})
    assert main(["search", file, "--run", str(run)]) == 1
    error = capsys.readouterr().err
    assert "error: trial 0, the baseline, failed before its first report, so the search" in error
    assert "FileNotFoundError: [Errno 2] No such file or directory" in error
    assert f"go on with: shoal resume {run}" in error
    assert len(trials_in(run)) == 1
    assert trials_in(run).by_number[0].state == "running"
    (tmp_path / "data").touch()
    assert main(["resume", str(run)]) == 0
    trials = trials_in(run)
    assert {(trial.state, trial.epoch) for trial in trials} == {("completed", 1)}
    assert {file.parent.name for file in run.glob("files/*/best.pt")} == {str(n) for n in range(7)}
    assert "score: higher is better" in capsys.readouterr().out


def test_a_metric_that_the_code_never_reports_ends_the_search_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = inline_file(tmp_path, SUM, metric={"name": "scora", "mode": "max"})
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 2
    assert "metric.name: unknown metric 'scora' (did you mean 'score'?)" in capsys.readouterr().err


def test_own_code_that_ends_early_has_completed(tmp_path: Path) -> None:
    code = "def train(config, context):\n    yield {'score': 1.0}\n"
    assert main(["search", inline_file(tmp_path, code), "--run", str(tmp_path / "run")]) == 0
    assert {t.state for t in trials_in(tmp_path / "run")} <= {"completed", "stopped"}
    assert trials_in(tmp_path / "run").by_number[0].state == "completed"


def test_a_learning_rate_that_explodes_is_diverged_and_the_search_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "explode.yaml"
    data = {
        "name": "explode",
        "dataset": {"name": "diabetes"},
        "model": {"hidden": [8]},
        "train": {"optimizer": "sgd"},
        "space": {"lr": [1e-2, 1e30]},
        "baseline": {"lr": 1e30},
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 4},
        "resources": {"gpus": 0},
        "engine": "inline",
    }
    path.write_text(yaml.safe_dump(data))
    assert main(["search", str(path), "--run", str(tmp_path / "run")]) == 0
    states = {t.params["lr"]: t.state for t in trials_in(tmp_path / "run")}
    assert states[1e30] == "diverged"
    assert states[1e-2] != "diverged"


def test_checkpoints_go_to_a_storage_that_no_other_run_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = inline_file(tmp_path, SUM, storage=f"file://{tmp_path}/storage", budget={"trials": 2})
    assert main(["search", file, "--run", str(tmp_path / "a" / "run")]) == 0
    assert (tmp_path / "storage" / "run" / "0").is_dir()
    assert main(["export", str(tmp_path / "a" / "run"), "-o", str(tmp_path / "bundle")]) == 0
    assert main(["search", file, "--run", str(tmp_path / "b" / "run")]) == 2
    assert "holds checkpoints of another run" in capsys.readouterr().err
    assert not (tmp_path / "b" / "run").exists()
    bad = inline_file(tmp_path, SUM, storage="nonsense://place")
    assert main(["search", bad, "--run", str(tmp_path / "c")]) == 2
    assert "storage: is no URI that can be read" in capsys.readouterr().err


def test_with_scope_best_own_code_takes_the_state_of_its_best_epoch_home(tmp_path: Path) -> None:
    code = (
        "import torch\n"
        "def train(config, context):\n"
        "    for epoch, score in enumerate([0.1, 0.9, 0.2], start=1):\n"
        "        context.save({'weight': torch.full((1,), float(epoch))})\n"
        "        yield {'score': score}\n"
    )
    metric = {"name": "score", "scope": "best"}
    file = inline_file(tmp_path, code, metric=metric, budget={"trials": 1})
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 0
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "bundle")]) == 0
    weights = safetensors.torch.load_file(tmp_path / "bundle" / "model.safetensors")
    assert weights["weight"].item() == 2.0


@pytest.mark.slow
def test_a_search_on_real_mnist_beats_its_baseline(tmp_path: Path, real_data: Path) -> None:
    path = tmp_path / "mnist.yaml"
    data = {
        **examples.experiment().plain(),
        "name": "mnist",
        "dataset": {"name": "mnist", "root": str(real_data), "subset": 10000},
        "model": {"family": "mlp", "hidden": [128]},
        "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "norm": ["none", "batch"]},
        "baseline": {"lr": 1e-4, "norm": "none"},
        "budget": {"trials": 10},
        "resources": {"gpus": 0},
        "engine": "inline",
    }
    path.write_text(yaml.safe_dump(data))
    assert main(["search", str(path), "--run", str(tmp_path / "run")]) == 0
    _, experiment, trials = open_run(tmp_path / "run")
    best = trials.ranked(experiment.metric)[0]
    assert (best.value(experiment.metric) or 0) > (
        trials.by_number[0].value(experiment.metric) or 1
    )


def test_own_code_that_ends_before_it_reports_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "def train(config, context):\n    return\n    yield\n"
    file = inline_file(tmp_path, code, budget={"trials": 2})
    assert main(["search", file, "--run", str(tmp_path / "run")]) == 1
    assert "ended before it reported" in capsys.readouterr().err
