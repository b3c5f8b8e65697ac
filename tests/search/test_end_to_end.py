"""The whole path on the real parts: Ray, Optuna, the digits, own code, made-up GPUs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.record.events import Confirmed, Rerun
from analysis.record.folder import open_run
from search.cli.main import main
from search.export.portable import can_make_onnx
from spaces.files import load_experiment
from tests.support.invariants import events_of, trials_in

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
        "resources": {"cpus": 2, "gpus": 0},
    }
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump({**data, **changes}))
    return file


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A finished quickstart search of 15 trials."""
    run = tmp_path_factory.mktemp("quickstart") / "run"
    arguments = ["search", "quickstart", "--run", str(run), "--set", "resources.gpus=0"]
    assert main([*arguments, "--set", "budget.trials=15"]) == 0
    return run


def test_the_baseline_is_trained_to_its_end_and_all_trials_are_ranked(
    quickstart: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", str(quickstart), "--json", "--top", "15"]) == 0
    best = json.loads(capsys.readouterr().out)
    _, experiment, trials = open_run(quickstart)
    baseline = trials.by_number[0]
    assert baseline.params == experiment.baseline
    assert baseline.state == "completed"
    assert len(best) == 15
    assert [row["value"] for row in best] == sorted((row["value"] for row in best), reverse=True)


def test_a_search_on_the_digits_beats_its_baseline(tmp_path: Path) -> None:
    """One trial after another, for what two at a time find depends on which of them is faster."""
    run = tmp_path / "run"
    arguments = ["search", "quickstart", "--run", str(run), "--set", "engine=inline"]
    assert main([*arguments, "--set", "budget.trials=30", "--set", "resources.gpus=0"]) == 0
    _, experiment, trials = open_run(run)
    best = trials.best(experiment.metric)
    assert best is not None
    assert best.number != 0
    assert best.value(experiment.metric) > (trials.by_number[0].value(experiment.metric) or 1.0)


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
    assert main(["resume", str(quickstart), "--trials", "2", "--engine", "inline"]) == 0
    assert len(trials_in(quickstart)) == 17


def test_own_code_gets_journal_logs_tensorboard_and_a_confirmation(tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = {"resources": {"cpus": 2, "gpus": 0}, "confirm": {"top": 2, "seeds": 2}}
    file = write(tmp_path, **changes)
    assert main(["search", str(file), "--run", str(run)]) == 0
    (verdict,) = events_of(run, Confirmed)
    assert len(verdict.scores) == 2
    reruns = [event.what.event for event in events_of(run, Rerun)]
    assert reruns.count("finished") == reruns.count("created") >= 6
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


@pytest.mark.slow
@pytest.mark.parametrize(("gpus", "used"), [(1, {0, 1, 2, 3}), (0.5, {0, 1})])
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


def test_own_code_that_calls_exit_ends_its_trial_and_no_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "def train(config, context):\n    raise SystemExit(3)\n    yield\n"
    file = write(tmp_path, code, budget={"trials": 2})
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err
    assert "SystemExit: 3" in told
    assert "starts again" not in told
