"""``shoal confirm`` on the real parts but for Ray: the digits, own code, the test split."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from analysis.record import events
from analysis.record.events import Decision, Rerun
from analysis.record.folder import open_run
from analysis.record.journal import Journal
from analysis.record.lock import locked
from analysis.record.reruns import Reruns
from analysis.verdict.confirmation import Confirmation, confirmation_of
from search.cli.main import main
from search.export.bundle import export_best
from search.export.retrain import Record, read_config, train_here
from search.rerun.candidates import race_of, verdict
from search.rerun.race import Race
from search.rerun.rerunner import Rerunner
from spaces.experiment import Confirm
from tests.support import examples
from tests.support.invariants import events_of
from tests.support.processes import code_file, shoal, wait_for_epochs

NOISY_CODE = """
import random, time

def train(config, context):
    random.seed(context.seed)
    offset = random.gauss(0.0, 0.02)
    total = context.state or 0.0
    for epoch in range(context.epoch, context.max_epochs):
        time.sleep(config.get("seconds", 0.0))
        total += config["step"] + offset
        context.save(total)
        yield {"score": total / (epoch + 1)}
"""


def noisy_file(folder: Path, **changes: Any) -> str:
    """Own code whose score is its step, and noise that the seed decides."""
    data = {
        "baseline": {"step": 0.2},
        "scheduler": {"max_epochs": 3},
        "budget": {"trials": 8},
        "engine": "inline",
    }
    return code_file(folder, NOISY_CODE, **{**data, **changes})


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished and confirmed search of 8 trials on the digits."""
    run = tmp_path_factory.mktemp("confirmed") / "run"
    settings = ("resources.gpus=0", "budget.trials=8", "scheduler.max_epochs=9")
    flags = [flag for setting in settings for flag in ("--set", setting)]
    assert main(["search", "quickstart", "--engine", "inline", "--run", str(run), *flags]) == 0
    assert main(["confirm", str(run), "--top", "2", "--seeds", "3"]) == 0
    return run


def found_in(run: Path) -> Confirmation:
    reruns = Reruns()
    _, experiment, trials = open_run(run, reruns.apply)
    found = confirmation_of(experiment, trials, reruns)
    assert found is not None
    return found


def test_winner_and_baseline_are_measured_under_fresh_seeds_and_tested_once(digits: Path) -> None:
    reruns = Reruns()
    _, experiment, trials = open_run(digits, reruns.apply)
    found = found_in(digits)
    assert found.winner is not None
    assert found.baseline is not None
    assert found.winner.trial in [standing.trial for standing in found.candidates]
    assert len(found.winner.scores) == len(found.baseline.scores) == 3
    assert {test.trial for test in found.tests} == {found.winner.trial, 0}
    assert all(len(test.scores) == 3 for test in found.tests)
    assert all(0.5 < score <= 1.0 for test in found.tests for score in test.scores)
    seeds = [rerun.seed for rerun in reruns.trials]
    assert len({*seeds, *(trial.seed for trial in trials)}) == len(seeds) + len(trials)
    assert all(rerun.epoch == experiment.scheduler.max_epochs for rerun in reruns.trials)


def test_a_second_time_gives_the_recorded_figures_and_trains_and_reads_nothing(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (digits / "journal.jsonl").read_bytes()
    assert main(["confirm", str(digits), "--top", "2", "--seeds", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (digits / "journal.jsonl").read_bytes() == before
    (tested, baseline_tested) = events_of(digits, events.Tested)
    assert [test["scores"] for test in told["tests"]] == [tested.scores, baseline_tested.scores]
    assert told["sentence"] == found_in(digits).sentence


def test_the_search_is_the_same_with_and_without_a_confirmation(
    digits: Path, tmp_path: Path
) -> None:
    without = tmp_path / "run"
    shutil.copytree(digits, without)
    lines = (digits / "journal.jsonl").read_text().splitlines(keepends=True)
    kept = [s for s in lines if json.loads(s)["event"] not in ("rerun", "confirmed", "tested")]
    (without / "journal.jsonl").write_text("".join(kept))
    examples.unchain(without / "journal.jsonl")
    _, experiment, trials = open_run(digits)
    _, _, others = open_run(without)
    assert trials.counts() == others.counts()
    assert trials.seconds() == others.seconds()
    assert trials.ranked(experiment.metric) == others.ranked(experiment.metric)


def test_the_hparams_tab_has_each_configuration_as_a_group_of_its_seeds(digits: Path) -> None:
    groups: dict[str, int] = {}
    for folder in (digits / "tensorboard" / "reruns").iterdir():
        shown = EventAccumulator(str(folder))
        shown.Reload()
        content = shown.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
        start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
        groups[start.group_name] = groups.get(start.group_name, 0) + 1
        assert "lr" in start.hparams
        assert len(shown.Scalars("val_accuracy")) == 9
    found = found_in(digits)
    assert found.winner is not None
    chosen_by = next(s for s in found.candidates if s.trial == found.winner.trial)
    assert groups[f"{found.winner.trial}-confirmed"] == len(chosen_by.scores) + 3  # measured
    assert groups["0-confirmed"] == 3


def test_the_bundle_holds_the_confirmed_winner_its_figures_and_its_data(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    assert main(["export", str(digits), "-o", str(bundle)]) == 0
    found = found_in(digits)
    assert found.winner is not None
    assert found.winner.estimate is not None
    assert json.loads((bundle / "metrics.json").read_text())["value"] == found.winner.scores[0]
    told = json.loads((bundle / "confirmation.json").read_text())
    assert told["sentence"] == found.sentence
    assert told["expected"] == list(found.winner.estimate.expected)
    card = (bundle / "README.md").read_text()
    assert card.startswith(f"# {found.sentence}\n")
    split = json.loads((bundle / "split.json").read_text())
    assert {part: held["samples"] for part, held in split.items()} == {
        "training": 1150,
        "validation": 288,
    }
    for fact in (split["validation"]["sha256"], "trial 0 (baseline) | test_accuracy", "8 trials"):
        assert fact in card
    capsys.readouterr()
    assert main(["train", str(bundle), "--json"]) == 0
    retrained = json.loads(capsys.readouterr().out)
    assert (retrained["difference"], retrained["verdict"]) == (0.0, "equal")


def test_a_training_on_other_data_is_told(digits: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    export_best(digits, bundle, with_programs=False)
    config = bundle / "config.yaml"
    config.write_text(config.read_text().replace("split_seed: 0", "split_seed: 1"))
    config_read, record = read_config(bundle, [])
    assert record is not None
    with pytest.warns(UserWarning, match="data here are not those that the bundle was made with"):
        train_here(config_read, lambda report: None, record.split)


def test_a_retraining_elsewhere_is_judged_by_the_interval_of_single_trainings() -> None:
    record = Record(value=0.97, expected=(0.95, 0.98), split=None)
    assert record.judge("val_accuracy", 0.97)["verdict"] == "equal"
    assert record.judge("val_accuracy", 0.955)["verdict"] == "inside"
    assert record.judge("val_accuracy", 0.93)["verdict"] == "outside"
    assert "verdict" not in Record(0.97, None, None).judge("val_accuracy", 0.93)


@pytest.mark.slow
def test_an_extended_run_with_a_new_winner_adds_a_second_reading(
    digits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits, run)
    assert main(["resume", str(run), "--trials", "6"]) == 0
    assert main(["confirm", str(run), "--top", "4", "--seeds", "3"]) == 0
    before, after = found_in(digits), found_in(run)
    assert before.winner is not None
    assert after.winner is not None
    is_new = after.winner.trial != before.winner.trial
    assert len(after.tests) == len(before.tests) + is_new
    assert after.tests[:2] == before.tests
    assert after.baseline == before.baseline  # its trainings are not done again


def test_a_file_that_asks_for_it_is_confirmed_at_the_end_of_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    file = noisy_file(tmp_path, confirm={"top": 2, "seeds": 4})
    assert main(["search", file, "--run", str(run)]) == 0
    found = found_in(run)
    assert found.sentence in " ".join(capsys.readouterr().out.split())
    assert found.sentence.startswith("Confirmed: score ")
    assert found.gain is not None
    assert found.gain.low > 0.0
    assert found.tests == []  # the user's own code has no test split that we know of
    assert main(["resume", str(run)]) == 2  # all is done


def test_a_confirmation_cut_off_anywhere_comes_to_the_same_verdict(tmp_path: Path) -> None:
    """Without Ray: the real journal, plan and rules; the trainings are made."""
    coordinator = examples.coordinator(tmp_path, baseline={"lr": 0.01, "activation": "relu"})
    examples.run_all(coordinator)
    coordinator.close()
    searched = (tmp_path / "journal.jsonl").read_bytes()
    whole = _confirmed(tmp_path, reports=None)
    for reports in (1, 5, 40):
        (tmp_path / "journal.jsonl").write_bytes(searched)
        _confirmed(tmp_path, reports)
        assert _confirmed(tmp_path, reports=None) == whole


class ByJob(Rerunner[Race]):
    """Made scores are those of the job, as a real training's follow from its seed."""

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        steps: Sequence[tuple[int, float]] = (),
        is_last: bool = False,
    ) -> Decision:
        job = self.reruns.jobs[number]
        place = 3 * job.trial + 7 * job.index + len(job.purpose)
        return super().report(
            number, epoch, {"val_accuracy": examples.accuracy(place, epoch)}, steps
        )


def _confirmed(folder: Path, reports: int | None) -> events.Confirmed:
    """Go on with a confirmation, two trainings side by side, for so many reports."""
    _, experiment, trials = open_run(folder)
    race = race_of(experiment, trials, Confirm(top=3, seeds=3))
    with closing(Journal(folder / "journal.jsonl")) as journal:
        rerunner = examples.begun(ByJob(experiment, journal, lambda *_: race))
        examples.run_all(rerunner, reports=reports)
        return verdict(experiment, race, rerunner.state()[1], trials)


def test_until_the_test_split_is_read_resume_goes_on_and_clean_keeps_what_it_needs(
    digits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(digits, run)
    file = run / "journal.jsonl"
    examples.unchain(file)
    lines = file.read_text().splitlines(keepends=True)
    spec = json.loads(lines[0])
    spec["spec"]["confirm"] = {"top": 2, "seeds": 3}
    lines[0] = json.dumps(spec) + "\n"
    for lost in (1, 3):  # killed before the second reading; before the verdict
        file.write_text("".join(lines[:-lost]))
        assert main(["clean", str(run), "--top", "1"]) == 0
        assert main(["resume", str(run)]) == 0
        found = found_in(run)
        assert [test.trial for test in found.tests] == [t.trial for t in found_in(digits).tests]
        assert found.sentence == found_in(digits).sentence
    assert main(["resume", str(run)]) == 2
    assert main(["export", str(run), "-o", str(tmp_path / "bundle")]) == 0


def test_a_rerun_that_failed_is_tried_again_by_the_next_confirmation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "well"
    raising = f"""    import pathlib
    if not pathlib.Path({str(marker)!r}).exists():
        raise OSError("gone")
"""
    code = NOISY_CODE.replace("    random.seed", f"{raising}    random.seed")
    run = tmp_path / "run"
    assert main(["search", noisy_file(tmp_path), "--run", str(run)]) == 0
    (tmp_path / "own.py").write_text(code)
    assert main(["confirm", str(run), "--top", "2", "--seeds", "3", "--keep-going"]) == 1
    assert found_in(run).sentence.startswith("Not confirmed: ")
    told = capsys.readouterr().out
    assert "shoal export" not in told[told.index("Not confirmed: ") :]
    marker.touch()
    assert main(["confirm", str(run), "--top", "2", "--seeds", "3"]) == 0
    assert found_in(run).sentence.startswith("Confirmed: ")
    before = (run / "journal.jsonl").read_bytes()  # and not once more
    assert main(["confirm", str(run), "--top", "2", "--seeds", "3"]) == 0
    assert (run / "journal.jsonl").read_bytes() == before


def test_images_without_a_test_split_are_confirmed_without_a_reading(
    tmp_path: Path, real_data: Path
) -> None:
    shutil.copytree(_images(real_data) / "train", tmp_path / "data" / "train")
    data = {
        "name": "birds",
        "dataset": {"name": "image_folder", "root": str(tmp_path / "data"), "subset": 200},
        "model": {"family": "mlp", "hidden": [8]},
        "space": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}},
        "scheduler": {"max_epochs": 2},
        "budget": {"trials": 3},
        "resources": {"gpus": 0},
        "confirm": {"top": 2, "seeds": 2},
        "engine": "inline",
    }
    file = tmp_path / "birds.yaml"
    file.write_text(yaml.safe_dump(data))
    assert main(["search", str(file), "--run", str(tmp_path / "run")]) == 0
    found = found_in(tmp_path / "run")
    assert found.tests == []
    assert found.baseline is None
    assert found.sentence.startswith("Confirmed: ")
    assert "on test" not in found.sentence


def _images(real_data: Path) -> Path:
    """The folder of the airplane/bird images."""
    return next(folder.parent for folder in real_data.rglob("train") if (folder / "bird").is_dir())


def test_killed_and_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["search", noisy_file(tmp_path, train={"seconds": 0.03}), "--run", str(run)]) == 0
    whole = tmp_path / "whole"
    shutil.copytree(run, whole)
    command = ("--top", "3", "--seeds", "3")
    reports = len(events_of(run, events.Report))

    killed = shoal("confirm", str(run), *command)
    wait_for_epochs(run, reports + 7, killed)
    killed.kill()
    killed.wait(60)
    interrupted = shoal("confirm", str(run), *command)
    wait_for_epochs(run, reports + 14, interrupted)
    interrupted.send_signal(signal.SIGINT)
    out, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert f"go on with: shoal confirm {run} --top 3 --seeds 3" in out
    for folder in (run, whole):
        assert main(["confirm", str(folder), *command]) == 0
    a, b = found_in(run), found_in(whole)
    assert (a.winner, a.baseline, a.gain) == (b.winner, b.baseline, b.gain)
    reported = [
        (e.what.trial, e.what.epoch) for e in events_of(run, Rerun) if e.what.event == "report"
    ]
    assert len(set(reported)) == len(reported)


def test_what_cannot_be_confirmed_is_told_in_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["search", noisy_file(tmp_path), "--run", str(run)]) == 0
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "journal.jsonl").write_text("".join(lines[:2]))
    capsys.readouterr()
    for arguments, message in (
        ([str(unfinished)], "no finished trial yet"),
        ([str(run), "--epochs", "30"], "can cost 105 epochs, its budget (epochs) is 30"),
        ([str(run), "--seeds", "1"], "must be at least 2"),
        ([str(run), "--top", "0"], "must be at least 1"),
        ([str(tmp_path / "none")], "is no run folder"),
    ):
        assert main(["confirm", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in " ".join(error.replace("│", " ").split())
        assert "Traceback" not in error
    with locked(run):
        assert main(["confirm", str(run)]) == 2
    assert "is being searched by pid" in capsys.readouterr().err
    assert events_of(run, events.Confirmed) == []


def test_a_confirmation_that_can_cost_more_than_it_may_is_a_mistake_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = noisy_file(tmp_path, confirm={"top": 5, "seeds": 5, "epochs": 50})
    assert main(["search", file, "--dry-run"]) == 2
    assert "confirm.seeds: 5 seeds for the best 5 can cost 105 epochs" in capsys.readouterr().err
    plain = yaml.safe_load(Path(file).read_text())
    plain["confirm"]["epochs"] = 105
    Path(file).write_text(yaml.safe_dump(plain))
    assert main(["search", file, "--dry-run"]) == 0
