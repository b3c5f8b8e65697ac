"""The examples, each searched; those with epochs are interrupted and resumed, too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from analysis.record.folder import RunFolder, open_run
from search.lifecycle import start_search
from spaces.files import load_experiment
from tests.support import inline
from tests.support.source import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
FEW = ["budget.trials=2", "scheduler.max_epochs=3"]
WORST = {  # of what is accepted
    "lightning/search": 0.8,
    "pytorch/search": 0.7,
    "scikit_learn/search": 0.9,
    "table/regression": 0.8,
    "table/search": 0.8,
    "transformers/search": 0.3,
}

pytestmark = pytest.mark.filterwarnings("ignore")  # of what the frameworks say of each other


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


@pytest.mark.parametrize("file", EXAMPLES, ids=_name)
def test_an_example_learns(file: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    start_search(load_experiment(file, FEW), run, inline.host())
    _, experiment, trials = open_run(run.path)
    best = trials.best(experiment.metric)
    assert best is not None
    assert experiment.metric.better(best.value(experiment.metric), WORST[_name(file)])
    assert trials.counts()["failed"] == 0


@pytest.mark.parametrize("name", ["lightning", "pytorch", "transformers"])
def test_an_example_goes_on_exactly_where_it_stood(name: str, tmp_path: Path) -> None:
    one = ["budget.trials=1", "scheduler.max_epochs=3", "scheduler.name=none"]
    experiment = load_experiment(ROOT / "examples" / name / "search.yaml", one)
    whole, parted = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parted")
    start_search(experiment, whole, inline.host())
    inline.interrupted(experiment, parted, steps=2)
    inline.resumed(parted)
    runs = [open_run(folder.path)[2].by_number[0] for folder in (whole, parted)]
    name = experiment.metric.name
    curves = [[report.metrics[name] for report in trial.reports] for trial in runs]
    assert [trial.epoch for trial in runs] == [3, 3]
    assert curves[0] == curves[1]


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_a_framework_that_is_not_there_is_named(name: str) -> None:
    hidden = f"import sys; sys.modules.update({{{name!r}: None, 'pytorch_lightning': None}})"
    code = f"{hidden}; import trainables.adapters.{name}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert f"trainables.adapters.{name} needs" in done.stderr
    assert "pip install" in done.stderr
