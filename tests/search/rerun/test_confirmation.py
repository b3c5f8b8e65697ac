"""What ``shoal confirm`` and ``shoal export`` say, on made trainings: without Ray."""

from __future__ import annotations

import io
import json
import math
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.bundle.bundle import Bundle
from analysis.bundle.card import model_card
from analysis.record import events
from analysis.record.events import Confirmed, Created, Finished, Job, Rerun
from analysis.record.folder import RunFolder, open_run
from analysis.record.journal import Journal
from analysis.record.surroundings import Fingerprint
from analysis.report.build import WRITERS, build_report
from analysis.verdict.confirmation import Confirmation, open_confirmed
from analysis.verdict.rendering import rendering_of
from search.cli.confirm import print_confirmation
from search.cli.main import main
from search.control.coordinator import Coordinator
from search.rerun.candidates import best_configurations, race_among, race_of, verdict
from search.rerun.replay import replay_run
from search.rerun.rerunner import Rerunner, seed_of
from spaces.experiment import Confirm
from spaces.parameters import Params
from tests.support import examples

BASELINE: Params = {"lr": 0.01, "activation": "relu"}


def searched(folder: Path, **changes: Any) -> RunFolder:
    """A finished search of made curves, whose first trial is the baseline."""
    coordinator = examples.coordinator(folder, baseline=BASELINE, **changes)
    examples.run_all(coordinator)
    coordinator.close()
    return RunFolder(folder)


def confirmed(
    folder: RunFolder,
    scores: list[float],
    baseline: list[float],
    tests: tuple[list[float], list[float]] | None = None,
) -> Confirmation:
    """The run with a confirmation of its best two that came to these scores."""
    _, experiment, trials = open_run(folder.path)
    candidates = best_configurations(experiment, trials, 2)
    winner = candidates[0]
    event = Confirmed(
        winner=winner,
        params=trials.by_number[winner].params,
        seeds=list(range(len(scores))),
        scores=scores,
        baseline_scores=baseline,
        candidates=candidates,
        most_seeds=max(2, len(scores)),
    )
    with closing(examples.checked_journal(folder.journal_file)) as journal:
        journal.append(event)
        for trial, held in zip((winner, 0), tests or (), strict=False):
            seeds = list(range(len(held)))
            name = "test_accuracy"
            journal.append(
                events.Tested(trial=trial, metric=name, seeds=seeds, scores=held, samples=1000)
            )
    found = open_confirmed(folder.path).confirmation
    assert found is not None
    return found


GOOD, FAIR, POOR = [0.97, 0.972, 0.968], [0.95, 0.952, 0.948], [0.90, 0.903, 0.898]


@pytest.mark.edits_journals
def test_the_sentence_tells_the_gain_on_test_where_both_were_read(tmp_path: Path) -> None:
    found = confirmed(searched(tmp_path), GOOD, POOR, tests=(FAIR, [0.94, 0.942, 0.938]))
    assert found.sentence.startswith("Confirmed: 95.00 % on test (95 %: ")
    assert "1.00 points better than the baseline (" in found.sentence
    assert found.sentence.endswith("; 97.00 % on validation")
    told = found.plain()
    assert told["gain"]["mean"] == pytest.approx(0.97 - 0.9003333333)
    assert told["gain_on_test"]["mean"] == pytest.approx(0.01)


@pytest.mark.edits_journals
def test_without_a_test_split_it_tells_that_on_validation(tmp_path: Path) -> None:
    found = confirmed(searched(tmp_path), GOOD, POOR)
    assert found.sentence.startswith("Confirmed: 97.00 % on validation (95 %: ")
    assert "6.97 points better than the baseline (" in found.sentence


@pytest.mark.edits_journals
def test_the_gain_on_test_decides(tmp_path: Path) -> None:
    found = confirmed(searched(tmp_path), GOOD, FAIR, tests=(FAIR, GOOD))
    assert found.sentence.startswith("Worse than the baseline: 95.00 % on test")
    assert "2.00 points worse than the baseline" in found.sentence


@pytest.mark.edits_journals
def test_seeds_that_collapse_on_test_are_counted_and_told(tmp_path: Path) -> None:
    found = confirmed(searched(tmp_path), GOOD, FAIR, tests=([0.97, 0.975, 0.3], [0.9, 0.91, 0.2]))
    assert found.sentence.startswith(
        "Not confirmed, as 1 of 3 seeds collapsed on test; the others: 97.25 % on test (95 %: "
    )
    assert ", of which 1 of 3 seeds collapsed on test; 97.00 % on validation" in found.sentence
    told = found.plain()["tested"]
    assert (told["collapsed"], told["mean"]) == (1, pytest.approx(0.9725))


@pytest.mark.edits_journals
def test_equal_scores_are_not_exact_on_a_split_of_288_images(tmp_path: Path) -> None:
    experiment = examples.experiment(baseline=BASELINE)
    coordinator = Coordinator(experiment, Journal(tmp_path / "journal.jsonl"))
    split = {"validation": Fingerprint(samples=288, sha256="")}
    coordinator.start(examples.started(experiment).model_copy(update={"split": split}))
    examples.run_all(coordinator)
    coordinator.close()
    found = confirmed(RunFolder(tmp_path), [0.75] * 3, [0.5] * 3)
    assert found.winner is not None
    assert found.winner.estimate is not None
    assert found.winner.bounds.step == 1 / 288
    assert found.winner.estimate.high - found.winner.estimate.low > 1 / 288
    assert found.gain is not None
    assert found.gain.low < found.gain.mean < found.gain.high


@pytest.mark.edits_journals
def test_collapsed_seeds_are_counted_and_told(tmp_path: Path) -> None:
    found = confirmed(searched(tmp_path), [0.97, 0.972, 0.1, 0.968, 0.971], [*POOR, 0.901, 0.902])
    start = "Not confirmed, as 1 of 5 seeds collapsed; the others: 97.02 % on validation"
    assert found.sentence.startswith(start)
    assert found.winner is not None
    assert found.winner.plain()["collapsed"] == 1
    (tmp_path / "other").mkdir()
    of_baseline = confirmed(searched(tmp_path / "other"), GOOD, [0.95, 0.951, 0.1])
    assert of_baseline.sentence.startswith("Confirmed: ")
    assert of_baseline.sentence.endswith("of which 1 of 3 seeds collapsed")


@pytest.mark.edits_journals
def test_no_number_of_the_table_is_broken_at_80_columns(tmp_path: Path) -> None:
    found = confirmed(
        searched(tmp_path, metric={"name": "val_accuracy"}),
        [-0.0214123, 0.3713456, 0.1234567],
        [-1.0214123, -0.3713456, -0.1234567],
    )
    for width in (80, 60, 200):
        out = Console(file=io.StringIO(), width=width)
        print_confirmation(found, out)
        assert isinstance(out.file, io.StringIO)
        lines = out.file.getvalue().splitlines()
        assert found.winner is not None
        assert found.winner.estimate is not None
        interval = f"{found.winner.estimate.low:.4g}–{found.winner.estimate.high:.4g}"
        assert any(interval in line for line in lines)
        assert all(len(line.rstrip()) <= width for line in lines if "–" in line)
        assert any("optimism" in line for line in lines) == (width > 60)


@pytest.mark.edits_journals
def test_a_winner_that_measured_worse_is_exported_only_if_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    run = searched(tmp_path / "run")
    confirmed(run, FAIR, GOOD)
    command = ["export", str(run.path), "-o", str(tmp_path / "bundle")]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "the winner measured worse than the baseline" in error
    assert "2.00 points worse than the baseline" in error
    assert "--anyway" in error
    assert not (tmp_path / "bundle").exists()
    main([*command, "--anyway"])  # these made trainings have no weights
    assert "measured worse" not in capsys.readouterr().err


@pytest.mark.edits_journals
def test_terminal_page_and_card_show_the_same_rows_and_sentences(tmp_path: Path) -> None:
    folder = searched(tmp_path)
    found = confirmed(folder, GOOD, [*POOR[:2], math.nan], tests=(FAIR, [0.94, math.nan, 0.938]))
    shown = rendering_of(found)
    assert [row[0] for row in shown.measured] == ["winner", "baseline"]
    assert shown.measured[1][2] == "2 (1 failed)"
    assert shown.readings[1] == ["trial 0 (baseline)", "test_accuracy", "94.00 %, failed, 93.80 %"]
    assert len(shown.gains) == 2
    out = Console(file=io.StringIO(), width=300)
    print_confirmation(found, out)
    assert isinstance(out.file, io.StringIO)
    _, experiment, trials = open_run(folder.path)
    report = build_report(folder, experiment, trials, confirmation=found)
    metrics = {"metric": "val_accuracy", "value": 0.97, "epoch": 3, "metrics": {}}
    card = model_card(Bundle({}, metrics, {}, "Found.", confirmation=found), 1)
    for text in (out.file.getvalue(), WRITERS["md"](report).decode(), card):
        flat = " ".join(re.sub(r"[|\\\\]", " ", text).split())
        for row in (*shown.measured, *shown.candidates):
            assert " ".join(" ".join(row).split()) in flat
        for sentence in (shown.sentence, shown.explanation, *shown.gains):
            assert sentence in flat
        assert all(scores in flat for *_, scores in shown.readings)


def test_a_bundle_has_a_column_for_the_baseline_only_where_there_is_one() -> None:
    metrics = {"metric": "val_loss", "value": 0.5, "epoch": 3, "metrics": {"val_loss": 0.5}}
    bundle = Bundle({}, metrics, {}, "Found.", params={"lr": 0.1, "momentum": 0.9})
    assert "| parameter | this configuration |\n" in model_card(bundle, 1)
    with_baseline = Bundle(
        {}, metrics, {}, "Found.", params=bundle.params, baseline={"lr": 0.01, "nesterov": True}
    )
    card = model_card(with_baseline, 1)
    for row in ("| lr | 0.1 | 0.01 |", "| momentum | 0.9 |  |", "| nesterov |  | True |"):
        assert row in card


@pytest.mark.parametrize("prefer_small", [False, True])
def test_a_confirmation_replays_by_the_rule_that_it_was_made_by(
    tmp_path: Path, prefer_small: bool
) -> None:
    folder = searched(tmp_path)
    _, experiment, trials = open_run(folder.path)
    race = race_of(experiment, trials, Confirm(top=3, seeds=3, prefer_small=prefer_small))
    with closing(Journal(folder.journal_file)) as journal:
        rerunner = examples.begun(Rerunner(experiment, journal, lambda *_: race))
        examples.run_all(rerunner)
        event = journal.append(verdict(experiment, race, rerunner.state()[1], trials))
    assert (event.rule, event.prefer_small) == ("posterior", prefer_small)
    assert replay_run(folder, experiment).difference is None


def test_a_confirmation_of_an_earlier_version_replays(tmp_path: Path) -> None:
    folder = searched(tmp_path)
    _, experiment, trials = open_run(folder.path)
    candidates = best_configurations(experiment, trials, 3)
    race = race_among(experiment, trials, candidates, 3, rule="bounds", prefer_small=True)
    with closing(Journal(folder.journal_file)) as journal:
        rerunner = examples.begun(Rerunner(experiment, journal, lambda *_: race))
        examples.run_all(rerunner)
        journal.append(verdict(experiment, race, rerunner.state()[1], trials))
    examples.unchain(folder.journal_file)
    lines = folder.journal_file.read_text().splitlines()
    last = json.loads(lines[-1])
    assert (last.pop("rule"), last.pop("prefer_small")) == ("bounds", True)
    folder.journal_file.write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    assert replay_run(folder, experiment).difference is None


def test_reruns_that_failed_before_are_counted_beside_those_of_the_plan(tmp_path: Path) -> None:
    folder = searched(tmp_path)
    _, experiment, trials = open_run(folder.path)
    race = race_of(experiment, trials, Confirm(top=2, seeds=2))
    jobs = [Job(trial, "choose", index) for trial in race.candidates for index in range(2)]
    with closing(examples.checked_journal(folder.journal_file)) as journal:
        for number, job in enumerate(jobs):
            params, seed = trials.by_number[job.trial].params, seed_of(experiment, job, trials)
            for what in (
                Created(trial=number, params=params, seed=seed),
                Finished(trial=number, state="failed", epoch=0),
            ):
                wrapped = Rerun(trial=job.trial, purpose=job.purpose, index=job.index, what=what)
                journal.append(wrapped)
        journal.append(Confirmed(winner=None, candidates=list(race.candidates), most_seeds=2))
        rerunner = examples.begun(Rerunner(experiment, journal, lambda *_: race))
        examples.run_all(rerunner)
        assert len(rerunner.trials) <= rerunner.most_trials
        assert rerunner.most_trials == len(jobs) + race.most_trainings
