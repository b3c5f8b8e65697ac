"""The whole path on the real parts: Ray, Optuna, the digits, own code, made-up GPUs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import yaml

from analysis.record.folder import open_run
from analysis.record.journal import read_journal
from analysis.record.trials import Trials
from search.cli.main import main
from search.export.portable import can_make_onnx
from spaces.files import load_experiment
from tests.support import examples

pytestmark = pytest.mark.usefixtures("local_ray")

OWN_CODE = """
import os, time
import torch

def train(config, context):
    print("step", config["step"], "on", context.device, "threads", torch.get_num_threads())
    total = torch.zeros(1) if context.state is None else context.state
    for epoch in range(context.epoch, context.max_epochs):
        total = total + config["step"] * config["gain"]
        context.save(total)
        if config["step"] > 0.9:
            raise RuntimeError("too far")
        time.sleep(config.get("seconds", 0))
        yield {"score": total, "gpu": int(context.gpu_ids[0]) if context.gpu_ids else -1}
"""


def write(folder: Path, code: str = OWN_CODE, **changes: Any) -> Path:
    """An experiment file on own code, and the code beside it."""
    (folder / "own.py").write_text(code)
    data = {
        "name": "own",
        "trainable": "own.py:train",
        "train": {"gain": 2.0},
        "space": {"step": {"low": 0.0, "high": 0.8}},
        "baseline": {"step": 0.5},
        "metric": {"name": "score"},
        "scheduler": {"max_epochs": 4},
        "budget": {"trials": 6},
        "resources": {"gpus": 0},
    }
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump({**data, **changes}))
    return file


def trials_in(run: Path) -> Trials:
    return Trials(read_journal(run / "journal.jsonl"))


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A finished quickstart search of 15 trials."""
    run = tmp_path_factory.mktemp("quickstart") / "run"
    arguments = ["search", "quickstart", "--run", str(run), "--set", "resources.gpus=0"]
    assert main([*arguments, "--set", "budget.trials=15"]) == 0
    return run


def test_a_search_on_the_digits_beats_its_baseline(
    quickstart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", str(quickstart), "--json", "--top", "15"]) == 0
    best = json.loads(capsys.readouterr().out)
    _, experiment, trials = open_run(quickstart)
    baseline = trials.by_number[0]
    assert baseline.params == experiment.baseline
    assert baseline.state == "completed"
    assert best[0]["value"] > (baseline.value(experiment.metric) or 1.0)
    assert [row["value"] for row in best] == sorted((row["value"] for row in best), reverse=True)


def test_status_says_how_the_run_stands(
    quickstart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(quickstart), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["state"] == "finished"
    assert sum(status["trials"].values()) == 15
    assert set(status["trials"]) == {"running", "completed", "stopped", "diverged", "failed"}
    assert status["epochs"] == trials_in(quickstart).epochs


def test_the_run_folder_holds_what_the_design_says(quickstart: Path) -> None:
    names = {path.name for path in quickstart.iterdir()}
    assert {"experiment.yaml", "journal.jsonl", "optuna.log", "tensorboard", "checkpoints"} <= names
    assert load_experiment(quickstart / "experiment.yaml").budget.trials == 15
    for number in range(15):
        assert len(list((quickstart / "checkpoints" / str(number)).iterdir())) == 1
        assert list((quickstart / "tensorboard" / str(number)).iterdir())


def test_the_exported_bundle_retrains_to_the_last_digit(
    quickstart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    assert main(["export", str(quickstart), "-o", str(bundle)]) == 0
    names = {"config.yaml", "model.safetensors", "metrics.json", "versions.txt", "README.md"}
    names |= {"split.json"}
    programs = {"model.pt2", "model.onnx"} if can_make_onnx() else {"model.pt2"}
    assert {path.name for path in bundle.iterdir()} == {*names, *programs, "inputs.json"}
    printed = capsys.readouterr()
    assert printed.err == ""
    assert ("shoal[onnx]" in printed.out) is not can_make_onnx()
    assert main(["train", str(bundle), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == "val_accuracy"
    assert found["recorded"] == found["retrained"]
    assert found["difference"] == 0.0


def test_without_the_extra_export_says_how_to_have_onnx(
    quickstart: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # as if it were not installed
    bundle = tmp_path / "bundle"
    assert main(["export", str(quickstart), "-o", str(bundle)]) == 0
    assert "for model.onnx, too: pip install 'shoal[onnx]'\n" in capsys.readouterr().out
    assert not (bundle / "model.onnx").exists()
    assert "onnx" not in (bundle / "README.md").read_text()


def test_a_finished_run_is_extended(
    quickstart: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["resume", str(quickstart)]) == 2
    assert "--trials or --hours extends it" in capsys.readouterr().err
    assert main(["resume", str(quickstart), "--trials", "2"]) == 0
    assert len(trials_in(quickstart)) == 17


def test_own_code_gets_journal_logs_tensorboard_and_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    file = write(tmp_path, resources={"cpus": 2, "gpus": 0})
    assert main(["search", str(file), "--run", str(run)]) == 0
    trials = trials_in(run)
    assert trials.counts()["completed"] >= 1
    assert "step 0.5 on cpu threads 2" in (run / "logs" / "0.txt").read_text()
    assert list((run / "tensorboard" / "0").iterdir())


def test_own_code_that_fails_leaves_its_traceback_and_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, space={"step": {"low": 0.0, "high": 1.0}}, baseline={"step": 0.95})
    assert main(["search", str(file), "--run", str(tmp_path / "run"), "--keep-going"]) == 0
    assert "trial 0 failed: RuntimeError: too far" in capsys.readouterr().err
    failed = trials_in(tmp_path / "run").by_number[0]
    assert failed.state == "failed"
    assert 'raise RuntimeError("too far")' in (failed.reason or "")


def test_a_search_in_which_every_trial_fails_ends_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "def train(config, context):\n    yield {'score': 1 / 0}\n"
    file = write(tmp_path, code, budget={"trials": 5})
    assert main(["search", str(file), "--run", str(tmp_path / "run"), "--keep-going"]) == 1
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
    file = write(tmp_path, code, budget={"trials": 7}, resources={"cpus": 2, "gpus": 0})
    assert main(["search", str(file), "--run", str(run)]) == 1
    error = capsys.readouterr().err
    assert "error: trial 0, the baseline, failed before its first report; none is" in error
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
    file = write(tmp_path, metric={"name": "scora", "mode": "max"})
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 2
    assert "metric.name: unknown metric 'scora' (did you mean 'score'?)" in capsys.readouterr().err


def test_own_code_that_ends_early_has_completed(tmp_path: Path) -> None:
    code = "def train(config, context):\n    yield {'score': 1.0}\n"
    assert main(["search", str(write(tmp_path, code)), "--run", str(tmp_path / "run")]) == 0
    assert {t.state for t in trials_in(tmp_path / "run")} <= {"completed", "stopped"}
    assert trials_in(tmp_path / "run").by_number[0].state == "completed"


MEETING = """
import pathlib, time

def train(config, context):
    here = pathlib.Path(config["meeting"])
    (here / str(context.seed)).touch()
    deadline = time.monotonic() + 60
    while len(list(here.iterdir())) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    yield {"score": len(list(here.iterdir())), "gpu": int(context.gpu_ids[0])}
"""


@pytest.mark.parametrize(
    ("gpus", "used"),
    [
        pytest.param(1, {0, 1, 2, 3}, marks=pytest.mark.slow),
        (0.5, {0, 1}),
    ],
)
def test_four_trials_at_a_time_get_the_gpus_that_they_ask_for(
    gpus: float, used: set[int], tmp_path: Path
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    file = write(
        tmp_path,
        MEETING,
        resources={"cpus": 0.5, "gpus": gpus},
        train={"meeting": str(meeting)},
        scheduler={"name": "none", "max_epochs": 1},
        budget={"trials": 4},
    )
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 0
    first = [trial.reports[0].metrics for trial in trials_in(tmp_path / "run")]
    assert [metrics["score"] for metrics in first] == [4] * 4  # all were there at a time
    assert {metrics["gpu"] for metrics in first} == used


@pytest.mark.slow
def test_isolated_trials_have_processes_of_their_own(tmp_path: Path) -> None:
    code = (
        "import os\ncalls = []\n"
        "def train(config, context):\n"
        "    os.environ['CALLS'] = os.environ.get('CALLS', '') + 'x'\n"
        "    yield {'score': 1.0, 'calls': len(os.environ['CALLS'])}\n"
    )
    for isolate in (True, False):
        run = tmp_path / str(isolate)
        changes: dict[str, Any] = {"scheduler": {"name": "none", "max_epochs": 1}}
        file = write(tmp_path, code, isolate=isolate, budget={"trials": 6}, **changes)
        assert main(["search", str(file), "--run", str(run)]) == 0
        most = max(trial.reports[0].metrics["calls"] for trial in trials_in(run))
        assert (most == 1) == isolate


def test_a_learning_rate_that_explodes_is_diverged_and_the_search_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "explode.yaml"
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
    }
    file.write_text(yaml.safe_dump(data))
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 0
    states = {t.params["lr"]: t.state for t in trials_in(tmp_path / "run")}
    assert states[1e30] == "diverged"
    assert states[1e-2] != "diverged"


def test_with_one_worker_the_same_file_gives_the_same_journal_but_for_times(
    tmp_path: Path,
) -> None:
    journals = []
    for name in ("a", "b"):
        changes = ["resources.cpus=2", "resources.gpus=0", "budget.trials=8"]
        arguments = [word for change in changes for word in ("--set", change)]
        assert main(["search", "quickstart", "--run", str(tmp_path / name), *arguments]) == 0
        events = read_journal(tmp_path / name / "journal.jsonl")
        hidden = {"time", "path"}
        journals.append([event.model_dump_json(exclude=hidden) for event in events])
    assert journals[0] == journals[1]


def test_an_epoch_that_hangs_is_ended_and_its_traceback_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import time\n"
        "def train(config, context):\n"
        "    yield {'score': 1.0}\n"
        "    print('going to hang')\n"
        "    time.sleep(600)\n"
        "    yield {'score': 2.0}\n"
    )
    changes: dict[str, Any] = {"epoch_timeout_seconds": 1.0, "max_failures": 1}
    file = write(tmp_path, code, budget={"trials": 1}, **changes)
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 1
    log = (tmp_path / "run" / "logs" / "0.txt").read_text()
    assert log.count("going to hang") == 2
    assert "Timeout" in log
    assert "own.py" in log
    assert "trial 0 starts again" in capsys.readouterr().err
    assert trials_in(tmp_path / "run").by_number[0].state == "failed"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        pytest.param(
            "def train(config, context):\n    return\n    yield\n",
            "ended before it reported",
            marks=pytest.mark.slow,
        ),
        ("def train(config, context):\n    raise SystemExit(3)\n    yield\n", "SystemExit: 3"),
    ],
)
def test_own_code_that_gives_up_at_once_has_failed(
    code: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, code, budget={"trials": 2})
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 1
    assert told in capsys.readouterr().err


def test_checkpoints_go_to_a_storage_that_no_other_run_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, storage=f"file://{tmp_path}/storage", budget={"trials": 2})
    assert main(["search", str(file), "--run", str(tmp_path / "a" / "run")]) == 0
    assert (tmp_path / "storage" / "run" / "0").is_dir()
    assert main(["export", str(tmp_path / "a" / "run"), "-o", str(tmp_path / "bundle")]) == 0
    assert main(["search", str(file), "--run", str(tmp_path / "b" / "run")]) == 2
    assert "holds checkpoints of another run" in capsys.readouterr().err
    assert not (tmp_path / "b" / "run").exists()
    bad = write(tmp_path, storage="nonsense://place")
    assert main(["search", str(bad), "--run", str(tmp_path / "c")]) == 2
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
    file = write(tmp_path, code, metric=metric, budget={"trials": 1})
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 0
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "bundle")]) == 0
    weights = safetensors.torch.load_file(tmp_path / "bundle" / "model.safetensors")
    assert weights["weight"].item() == 2.0


@pytest.mark.slow
def test_a_search_on_real_mnist_beats_its_baseline(tmp_path: Path, real_data: Path) -> None:
    file = tmp_path / "mnist.yaml"
    data = {
        **examples.experiment().plain(),
        "name": "mnist",
        "dataset": {"name": "mnist", "root": str(real_data), "subset": 10000},
        "model": {"family": "mlp", "hidden": [128]},
        "space": {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "norm": ["none", "batch"]},
        "baseline": {"lr": 1e-4, "norm": "none"},
        "budget": {"trials": 10},
        "resources": {"gpus": 0},
    }
    file.write_text(yaml.safe_dump(data))
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 0
    _, experiment, trials = open_run(tmp_path / "run")
    best = trials.ranked(experiment.metric)[0]
    assert (best.value(experiment.metric) or 0) > (
        trials.by_number[0].value(experiment.metric) or 1
    )
