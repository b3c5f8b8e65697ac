"""A space that returns settings: they are recorded with the trial, for all that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.record.chain import Chain, split
from analysis.record.folder import RunFolder, open_run
from search import load
from search.cli.main import main
from search.export.bundle import export_best
from search.export.retrain import read_config
from search.lifecycle import start_search
from search.rerun.replay import replay_run
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.problems import InputError
from spaces.text import read_mapping
from spaces.training_config import TrainConfig
from tests.support import inline
from tests.support.commands import file, message
from tests.support.invariants import trials_in
from tests.support.processes import code_file

PYRAMID = """
def space(trial):
    depth = trial.suggest_int("depth", 1, 3)
    first = trial.suggest_int("first", 8, 32)
    return {"hidden": [first // 2**place for place in range(depth)], "norm": "batch"}
"""

UNITS = """
def space(trial):
    depth = trial.suggest_int("depth", 1, 3)
    return {"hidden": [trial.suggest_int(f"units{place}", 8, 32) for place in range(depth)]}
"""


def spec(folder: Path, **changes: Any) -> str:
    """An experiment file on digits whose space is a function."""
    (folder / "pyramid.py").write_text(PYRAMID)
    given = {
        "space": "pyramid.py:space",
        "baseline": {"depth": 1, "first": 8},
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 6},
        "resources": {"gpus": 0},
        "engine": "inline",
    }
    return file(folder, **{**given, **changes})


def expected(params: dict[str, Any]) -> dict[str, Any]:
    hidden = [params["first"] // 2**place for place in range(params["depth"])]
    return {"hidden": hidden, "norm": "batch"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A searched, confirmed and audited run whose space cannot be imported any more."""
    folder = tmp_path_factory.mktemp("returned")
    path = str(folder / "run")
    assert main(["search", spec(folder), "--run", path]) == 0
    assert main(["replay", path, "--proposals"]) == 0
    assert main(["confirm", path, "--top", "1", "--seeds", "2"]) == 0
    assert main(["audit", path, "--sample", "1"]) == 0
    (folder / "pyramid.py").unlink()
    return folder / "run"


def test_every_trial_has_on_record_what_was_returned_for_it(run: Path) -> None:
    trials = list(trials_in(run))
    assert len(trials) == 6
    assert all(trial.settings == expected(trial.params) for trial in trials)
    assert len({str(trial.settings) for trial in trials}) > 1


def test_reruns_train_what_their_trials_had(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    events = [line["what"] for line in lines if line["event"] == "rerun"]
    created = [event for event in events if event["event"] == "created"]
    assert len(created) >= 4
    assert all(what["settings"] == expected(what["params"]) for what in created)


def test_what_only_reads_a_run_shows_the_settings(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best", str(run), "--top", "1", "--json"]) == 0
    [best] = json.loads(capsys.readouterr().out)
    assert best["settings"] == expected(best["params"])
    assert main(["best", str(run), "--top", "1"]) == 0
    assert f"hidden={best['settings']['hidden']}" in " ".join(capsys.readouterr().out.split())
    assert main(["table", str(run), "-o", str(tmp_path / "table.json")]) == 0
    rows = json.loads((tmp_path / "table.json").read_text())
    assert [json.loads(row["params.hidden"]) for row in rows] == [
        trial.settings["hidden"] for trial in trials_in(run)
    ]
    assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 0
    assert json.dumps(best["settings"]["hidden"]) in (tmp_path / "report.html").read_text()
    assert main(["rebuild", str(run)]) == 0
    assert main(["replay", str(run)]) == 0
    found = load(run).best
    assert found is not None
    assert found.settings == best["settings"]


def test_an_exported_model_has_the_settings_and_trains_again_to_the_same(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    export_best(run, bundle, with_programs=False, anyway=True)
    winner = json.loads((bundle / "confirmation.json").read_text())["winner"]
    hidden = expected(winner["params"])["hidden"]
    assert read_mapping(bundle / "config.yaml")["model"]["hidden"] == hidden
    capsys.readouterr()
    assert main(["train", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"] == 0.0


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    searched = load_experiment(spec(tmp_path))
    folders = [RunFolder(tmp_path / name) for name in ("whole", "cut")]
    start_search(searched, folders[0], inline.host())
    inline.interrupted(searched, folders[1], steps=5)
    inline.resumed(folders[1])
    whole, cut = (
        [(t.params, t.settings, [r.metrics for r in t.reports]) for t in trials_in(folder.path)]
        for folder in folders
    )
    assert whole == cut
    _, experiment, _ = open_run(folders[1].path)
    assert replay_run(folders[1], experiment, proposals=True).difference is None


def test_the_baseline_of_a_file_is_trained_with_what_the_function_returns(tmp_path: Path) -> None:
    config, _ = read_config(Path(spec(tmp_path)), [])
    assert isinstance(config, TrainConfig)
    assert (config.model.hidden, config.model.norm) == ([8], "batch")


def test_repeats_have_the_settings_of_the_first(tmp_path: Path) -> None:
    searched = load_experiment(spec(tmp_path, repeats=2))
    start_search(searched, RunFolder(tmp_path / "run"), inline.host())
    trials = list(trials_in(tmp_path / "run"))
    assert [t.settings for t in trials[0::2]] == [t.settings for t in trials[1::2]]
    assert len({str(trial.settings) for trial in trials}) == 3


@pytest.mark.parametrize("sampler", ["curves", "tpe", "random", "qmc", "cmaes"])
def test_samplers_take_on_what_the_function_returns(sampler: str, tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(UNITS)
    code = "def train(config, context):\n"
    code += "    for epoch in range(context.epoch, 2):\n"
    code += "        yield {'score': sum(config['hidden']) + epoch}\n"
    given: dict[str, Any] = {"space": "space.py:space", "sampler": {"name": sampler}}
    given |= {"budget": {"trials": 14}, "scheduler": {"max_epochs": 2}}
    searched: Experiment = load_experiment(code_file(tmp_path, code, **given, engine="inline"))
    start_search(searched, RunFolder(tmp_path / "run"), inline.host())
    trials = list(trials_in(tmp_path / "run"))
    assert len({trial.params["depth"] for trial in trials}) > 1
    for trial in trials:
        hidden = [held for name, held in trial.params.items() if name.startswith("units")]
        assert trial.settings == {"hidden": hidden}
        assert trial.reports[0].metrics["score"] == sum(trial.settings["hidden"])
    run = RunFolder(tmp_path / "run")
    assert replay_run(run, open_run(run.path)[1], proposals=True).difference is None


def test_a_run_from_before_has_none(tmp_path: Path) -> None:
    """What its function returned then was not looked at."""
    searched = load_experiment(spec(tmp_path, space={"hidden.0": [8, 16]}, baseline=None))
    start_search(searched, RunFolder(tmp_path / "run"), inline.host())
    journal = tmp_path / "run" / "journal.jsonl"
    assert b'"settings":{}' in journal.read_bytes()
    rewrite(journal, b',"settings":{}', b"")
    assert all(trial.settings == {} for trial in trials_in(tmp_path / "run"))
    assert main(["replay", str(tmp_path / "run")]) == 0


def rewrite(journal: Path, old: bytes, new: bytes) -> None:
    """Replace what stands in the lines of a journal; their chain holds afterwards."""
    chain, lines = Chain(), journal.read_bytes().splitlines(keepends=True)
    edited = [chain.close(split(line)[0].replace(old, new)) for line in lines]
    journal.write_bytes(b"".join(edited))


@pytest.mark.edits_journals
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"norm":"batch"', b'"norm":[NaN]', "line 2 is no event"),
        (b'"settings":{', b'"settings":[],"x":{', "line 2 is no event: created.settings"),
        (b'"norm":"batch"', b'"norm":"huge"', "model.norm: must be 'none', 'batch'"),
    ],
)
def test_settings_that_somebody_edited_are_told(
    old: bytes, new: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = load_experiment(spec(tmp_path, budget={"trials": 1}))
    start_search(searched, RunFolder(tmp_path / "run"), inline.host())
    rewrite(tmp_path / "run" / "journal.jsonl", old, new)
    assert told in message(capsys, "export", str(tmp_path / "run"), "-o", str(tmp_path / "bundle"))


@pytest.mark.edits_journals
def test_settings_beside_a_space_that_is_no_function_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searched = load_experiment(spec(tmp_path, space={"hidden.0": [8, 16]}, baseline=None))
    start_search(searched, RunFolder(tmp_path / "run"), inline.host())
    rewrite(tmp_path / "run" / "journal.jsonl", b'"settings":{}', b'"settings":{"norm":"batch"}')
    told = message(capsys, "resume", str(tmp_path / "run"), "--trials", "1")
    assert "trial 0: settings: only a function as space returns any" in told


@pytest.mark.edits_journals  # what the function returned is not what it returns now
def test_a_run_whose_function_has_come_to_return_nonsense_is_not_resumed(tmp_path: Path) -> None:
    searched = load_experiment(spec(tmp_path))
    inline.interrupted(searched, RunFolder(tmp_path / "run"), steps=2)
    (tmp_path / "pyramid.py").write_text(PYRAMID.replace("return", "return 1, "))
    with pytest.raises(InputError, match=r"must return None or a mapping of settings, got \(1, {"):
        inline.resumed(RunFolder(tmp_path / "run"))
