"""Searches of depth and width, by every sampler and on real data, interrupted and replayed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.record.folder import RunFolder, experiment_of
from search import load
from search.cli.main import main
from search.export.bundle import export_best
from search.lifecycle import start_search
from search.rerun.replay import replay_run
from spaces.files import load_experiment
from spaces.text import read_mapping
from tests.support import examples, inline
from tests.support.commands import file

SAMPLERS = ["curves", "tpe", "gp", "cmaes", "random", "grid", "qmc"]
WIDTHS = {"low": 8, "high": 64, "log": True}
SPACE = {"layers": {"low": 1, "high": 4}, "hidden.*": WIDTHS, "activation": ["tanh", "relu"]}
IN_STEPS = {**SPACE, "hidden.*": {"low": 8, "high": 64, "step": 8}}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_searches_it_and_a_resumed_run_proposes_the_same(
    sampler: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {
        "space": IN_STEPS if sampler == "grid" else SPACE,
        "sampler": {"name": sampler},
        "budget": {"trials": 14 if sampler == "gp" else 24},
    }
    coordinator = examples.coordinator(tmp_path, **changes)
    examples.run_all(coordinator, workers=3)
    trials = list(coordinator.trials)
    assert len({trial.params["layers"] for trial in trials}) >= 3
    for trial in trials:
        widths = [f"hidden.{index}" for index in range(int(trial.params["layers"] or 0))]
        assert trial.params.keys() == {"layers", "activation", *widths}
    run = RunFolder(tmp_path)
    assert replay_run(run, experiment_of(run), proposals=True).difference is None
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    at = [place for place, line in enumerate(lines) if b'"created"' in line][-3]
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "journal.jsonl").write_bytes(b"".join(lines[:at]))
    again = examples.resumed(cut, **changes)
    for _ in range(len(again.trials.running)):
        again.next_trial()
    trial = again.next_trial()
    assert trial is not None
    assert trial.params == json.loads(lines[at])["params"]


def test_a_grid_of_depth_and_width_has_every_combination_once(tmp_path: Path) -> None:
    space = {"layers": [0, 1, 2], "hidden.*": [4, 8]}
    coordinator = examples.coordinator(tmp_path, space=space, sampler={"name": "grid"})
    examples.run_all(coordinator)
    assert coordinator.most_trials == len(coordinator.trials) == 1 + 2 + 4
    assert len({str(sorted(trial.params.items())) for trial in coordinator.trials}) == 7


def test_a_search_on_the_digits_finds_depth_and_width(tmp_path: Path) -> None:
    baseline = {"layers": 1, "hidden.0": 8, "activation": "tanh"}
    changes = {"budget": {"trials": 12}, "resources": {"gpus": 0}, "engine": "inline"}
    changes |= {"sampler": {"name": "curves"}, "scheduler": {"max_epochs": 3}}
    path = file(tmp_path, space=SPACE, baseline=baseline, **changes)
    start_search(load_experiment(path), RunFolder(tmp_path / "run"), inline.host())
    best = load(tmp_path / "run").best
    assert best is not None
    assert best.trial != 0
    export_best(tmp_path / "run", tmp_path / "bundle", with_programs=False)
    config = read_mapping(tmp_path / "bundle" / "config.yaml")
    widths = [best.params[f"hidden.{index}"] for index in range(int(best.params["layers"] or 0))]
    assert config["model"]["hidden"] == widths
    again = load_experiment(tmp_path / "run" / "experiment.yaml")
    assert again.plain()["space"].keys() == SPACE.keys()


def test_show_says_each_layers_range_and_condition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(tmp_path, space=SPACE)
    assert main(["show", path, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["space"]}
    assert rows["hidden.0"]["when"] is None
    assert rows["hidden.1"]["when"] == {"layers": [2, 3, 4]}
    assert main(["show", path]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "hidden.1 8 … 64 (log) layers: 2 to 4" in shown
    assert "hidden.2 8 … 64 (log) layers: 3 or 4" in shown
