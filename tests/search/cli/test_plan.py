"""The command plan: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from search.cli.main import main
from search.plan import measure
from search.plan.brief_search import Extent
from tests.support import examples

INLINE = ["--set", "engine=inline"]


@pytest.fixture(autouse=True)
def as_few_epochs_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_BUILT_IN", Extent(epochs=2))


@pytest.fixture
def spec(tmp_path: Path) -> str:
    file = tmp_path / "made.yaml"
    plain = examples.experiment(confirm={"top": 2, "seeds": 2}).plain()
    file.write_text(yaml.safe_dump(plain))
    return str(file)


def test_a_plan_tells_time_workers_disk_and_money(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["plan", spec, "--set", "engine=tune", "--price", "3600", "--hours", "0.02"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("made: an epoch takes ")
    assert "workers" in shown
    assert "device-hours   cost" in shown
    assert " do not help: start and report take " in shown
    assert ", and a trial that goes to epoch 9 " in shown
    assert "12 trials, of which " in shown
    assert "disk: " in shown
    assert "confirming the best, not counted above: at most 54 more epochs" in shown
    assert "can train one of these, even if the sampler learns much:" in shown
    assert sum(" *   " in line for line in shown.splitlines()) == 1  # the file's own
    assert sum(line.rstrip().endswith(" cost") for line in shown.splitlines()) == 2
    assert "warning" not in shown  # no GPU was asked for
    assert "reduction_factor" in shown
    assert "only their order decides who is stopped" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["made.yaml"]  # no run, no files


def test_the_document_is_all_that_is_printed(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", spec, *INLINE, "--json", "--price", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["experiment"] == "made"
    assert found["workers"] == found["useful_workers"] == 1
    (row,) = found["plans"]
    assert row["engine"] == "inline"
    assert row["cost"] == pytest.approx(2 * row["device_hours"])
    assert row["seconds"]["low"] <= row["seconds"]["typical"] <= row["seconds"]["high"]
    assert found["budgets"] is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_times_for_gpus_that_were_taken_on_a_cpu_come_with_a_warning(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on_ray = ["--set", "engine=tune", "--set", "resources.gpus=1"]
    assert main(["plan", spec, *on_ray, "--gpus", "2", "--price", "2.5"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("warning: there is no GPU here, so epochs were timed on the CPU: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hours", "0"], "--hours: must be more than 0, at most 1,000,000, got 0"),
        (["--hours", "nan"], "--hours: must be more than 0, at most 1,000,000, got nan"),
        (["--hours", "1e307"], "--hours: must be more than 0, at most 1,000,000, got 1e+307"),
        (["--price", "-1"], "--price: must be 0 or more, and finite, got -1"),
        (["--price", "inf"], "--price: must be 0 or more, and finite, got inf"),
        (["--workers", "2", "--gpus", "2"], "--workers and --gpus cannot be used together"),
        (["--workers", "0"], "must be at least 1"),
        ([*INLINE, "--workers", "2"], "--workers: engine: inline trains one trial at a time"),
        ([*INLINE, "--gpus", "2"], "--gpus: engine: inline trains one trial at a time"),
        (["--gpus", "1", "--set", "resources.gpus=2"], "a trial needs 2 GPUs (resources.gpus)"),
        (["--gpus", "1", "--set", "resources.gpus=0"], "resources.gpus is 0, so no trial uses"),
        (
            ["--set", "budget.trials=null", "--set", "budget.target=1"],
            "budget: a plan needs a limit on trials, epochs or hours",
        ),
        (
            ["--set", "budget={hours: 1e307}"],
            "budget.hours: must be more than 0, at most 1,000,000, got 1e+307",
        ),
        ([*INLINE, "--set", "isolate=true"], "isolate: needs processes beside this one"),
        (
            ["--set", "engine=fused", "--set", "diagnostics=true"],
            "diagnostics: true can't be trained as one model",
        ),
        (["--set", "dataset={name: image_folder, root: /none}"], "/none"),
    ],
)
def test_what_can_not_be_planned_is_refused_before_anything_is_trained(
    spec: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", spec, *options]) == 2
    told = capsys.readouterr()
    assert message in " ".join(told.err.split())
    assert "training a few configurations" not in told.err


def test_own_code_that_fails_ends_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text("def train(config, context):\n    raise OSError('no data')\n")
    file = tmp_path / "own.yaml"
    own = {"trainable": "own.py:train", "space": {"x": [1, 2]}, "metric": "val_loss"}
    file.write_text(yaml.safe_dump({"name": "own", "budget": {"trials": 4}, **own}))
    assert main(["plan", str(file), *INLINE]) == 1
    told = capsys.readouterr().err
    assert "each configuration that was tried failed before its first report" in told
    again = f"shoal plan {file} --set=engine=inline"
    assert told.rstrip().endswith(f"OSError: no data\nonce that is mended: {again}")


def test_a_dry_run_points_to_the_plan(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", spec, "--dry-run"]) == 0
    assert "how long it takes, with how many workers: shoal plan" in capsys.readouterr().out
