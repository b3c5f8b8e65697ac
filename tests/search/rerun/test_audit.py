"""``shoal audit``: trials that were stopped, taken on to the end."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from analysis.record.events import Created, Finished, Job, Report
from analysis.record.folder import open_run
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from analysis.verdict.audit import AuditResult
from search.cli.main import main
from search.control.asha import Rungs
from search.rerun.audit import Audit, audit_order
from search.rerun.audit_findings import judge_stopping
from spaces.experiment import Experiment
from tests.support import examples
from tests.support.invariants import events_of
from tests.support.processes import shoal, slow_file, wait_for_epochs


def searched(experiment: Experiment, curves: list[list[float]]) -> Trials:
    """A search by one worker whose trials have these validation accuracies by epoch."""
    trials = Trials()
    rungs = Rungs(experiment.scheduler, experiment.metric)
    for number, curve in enumerate(curves):
        trials.apply(Created(trial=number, params={"lr": 0.01, "activation": "relu"}, seed=number))
        ended = _report(trials, number, curve, rungs)
        state = "completed" if ended == len(curve) else "stopped"
        trials.apply(Finished(trial=number, state=state, epoch=ended))
    return trials


def _report(trials: Trials, number: int, curve: list[float], rungs: Rungs | None = None) -> int:
    for epoch, value in enumerate(curve, start=1):
        metrics = {"val_accuracy": value}
        decision = "continue" if rungs is None else rungs.decide(number, epoch, value)
        if rungs is not None:
            rungs.arrive(number, epoch, value)
        trials.apply(Report(trial=number, epoch=epoch, metrics=metrics, decision=decision))
        if decision == "stop":
            return epoch
    return len(curve)


def audited(
    experiment: Experiment, trials: Trials, curves: list[list[float]], sample: int
) -> AuditResult:
    """What an audit of so many of its stopped trials says."""
    ends: dict[int, Trial] = {}
    for number in audit_order(experiment, trials)[:sample]:
        again = Trials([Created(trial=0, params=trials.by_number[number].params, seed=0)])
        _report(again, 0, curves[number])
        again.apply(Finished(trial=0, state="completed", epoch=len(curves[number])))
        ends[number] = again.by_number[0]
    return judge_stopping(experiment, trials, ends)


def landscape(noise: float, trials: int = 60, seed: int = 0) -> list[list[float]]:
    """Curves that rise to heights of their own; ``noise`` hides these at first."""
    draw = np.random.default_rng(seed)
    heights = draw.uniform(0.5, 0.9, trials)
    hidden = draw.normal(0.0, noise, trials)
    epochs = np.arange(1, 10)
    return [
        (height * (1 - 0.5**epochs) + start * 0.35**epochs).tolist()
        for height, start in zip(heights, hidden, strict=True)
    ]


def test_where_the_first_epoch_tells_all_no_stopped_trial_beats_the_best() -> None:
    experiment, curves = examples.experiment(), landscape(noise=0.0)
    found = audited(experiment, searched(experiment, curves), curves, sample=12)
    assert found.beating == []
    assert all(rung.correlation.value > 0.99 for rung in found.rungs)
    assert found.epochs < 0.5 * found.epochs_to_the_end
    assert found.sentences[0].startswith("0 of 12 stopped trials")


def test_where_the_first_epoch_misleads_the_audit_says_so() -> None:
    experiment, curves = examples.experiment(), landscape(noise=2.0, seed=5)
    found = audited(experiment, searched(experiment, curves), curves, sample=30)
    first, second = found.rungs
    assert first.correlation.value < 0.5 < second.correlation.value
    top = curves[found.best][-1]
    ends = [curves[number][-1] for number in found.beating]
    assert ends == sorted((end for end in ends if end > top), reverse=True)
    assert ends
    assert f"{len(ends)} of 30 stopped trials" in found.sentences[0]


def test_the_share_of_saved_epochs_is_of_a_search_that_stops_nobody() -> None:
    experiment, curves = examples.experiment(), landscape(noise=0.5)
    trials = searched(experiment, curves)
    found = audited(experiment, trials, curves, sample=12)
    assert (found.epochs, found.epochs_to_the_end) == (trials.epochs, 9 * 60)
    assert f"epochs: {trials.epochs} instead of 540, " in found.sentences[1]


def test_code_that_always_ends_early_is_audited_without_the_rungs_that_nobody_reached() -> None:
    experiment = examples.experiment(scheduler={"max_epochs": 27})
    curves = [curve[:4] for curve in landscape(noise=0.5)]
    found = audited(experiment, searched(experiment, curves), curves, sample=12)
    assert [rung.epoch for rung in found.rungs] == [1, 3]
    assert found.epochs_to_the_end == 4 * len(curves)


def test_most_of_the_sample_is_from_just_below_each_cut_and_a_larger_one_holds_it() -> None:
    experiment, curves = examples.experiment(), landscape(noise=0.5)
    trials = searched(experiment, curves)
    order = audit_order(experiment, trials)
    assert sorted(order) == [trial.number for trial in trials if trial.state == "stopped"]
    rungs = sorted({trials.by_number[number].epoch for number in order})
    assert rungs == [1, 3]
    for place, epoch in enumerate(rungs):
        at_rung = [number for number in order if trials.by_number[number].epoch == epoch]
        by_value = sorted(at_rung, key=lambda number: -curves[number][epoch - 1])
        assert order[place] == by_value[0]  # in turn from each rung
        assert set(by_value[:3]) <= set(at_rung[:4])
        assert set(by_value[:6]) <= set(at_rung[:8])
        assert set(at_rung[:8]) != set(by_value[:8])


def test_what_an_earlier_audit_took_counts_however_it_was_chosen() -> None:
    """As in journals of the time when a sample was drawn at random."""
    plan = Audit(order=(5, 6, 7, 8), size=3)
    old = {Job(8, "audit", 0), Job(2, "audit", 0)}
    assert all(map(plan.wants, old))
    assert plan.next(old, {}) == Job(5, "audit", 0)
    assert plan.next({*old, Job(5, "audit", 0)}, {}) is None
    assert not plan.wants(Job(5, "choose", 0))


def test_stopped_trials_go_on_from_where_they_were_as_if_never_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = (
        "resources.gpus=0",
        "budget.trials=8",
        "scheduler.max_epochs=9",
        "sampler.name=random",
    )
    flags = [flag for setting in settings for flag in ("--set", setting)]
    assert main(["search", "quickstart", "--engine", "inline", "--run", str(run), *flags]) == 0
    to_the_end = [*flags, "--set", "scheduler.name=none"]
    assert (
        main(["search", "quickstart", "--engine", "inline", "--run", str(whole), *to_the_end]) == 0
    )
    capsys.readouterr()
    assert main(["audit", str(run), "--sample", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["audited"] == 3
    reruns = Reruns()
    _, _, trials = open_run(run, reruns.apply)
    _, _, others = open_run(whole)
    for number, job in reruns.jobs.items():
        metrics = [report.metrics for report in reruns.trials.by_number[number].reports]
        assert metrics == [report.metrics for report in others.by_number[job.trial].reports]
        assert trials.by_number[job.trial].state == "stopped"
    report = (run / "report.html").read_text()
    assert "Was stopping early right?" in report
    assert "stopped trials that were trained to the end beat the best" in report
    before = (run / "journal.jsonl").read_bytes()
    assert main(["audit", str(run), "--sample", "3"]) == 0
    assert (run / "journal.jsonl").read_bytes() == before
    assert "epochs saved" in capsys.readouterr().out or told["epochs"] < told["epochs_to_the_end"]


@pytest.mark.slow
def test_an_interrupted_audit_trains_no_epoch_twice(tmp_path: Path) -> None:
    run = tmp_path / "run"
    file = slow_file(tmp_path, engine="inline")
    assert main(["search", file, "--run", str(run)]) == 0
    shutil.rmtree(run / "checkpoints")  # as after shoal clean: they begin anew
    reports = len(events_of(run, Report))
    interrupted = shoal("audit", str(run), "--sample", "2")
    wait_for_epochs(run, reports + 4, interrupted)
    interrupted.send_signal(signal.SIGINT)
    out, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert f"go on with: shoal audit {run} --sample 2" in out
    assert main(["audit", str(run), "--sample", "2"]) == 0
    reruns = Reruns()
    open_run(run, reruns.apply)
    assert [rerun.state for rerun in reruns.trials] == ["completed", "completed"]
    for number, rerun in enumerate(reruns.trials):
        step = rerun.params["step"]
        assert isinstance(step, float)
        assert [r.metrics["score"] for r in rerun.reports] == pytest.approx(
            [step * (epoch + 1) for epoch in range(9)]
        ), number


def test_a_run_in_which_nobody_was_stopped_has_nothing_to_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path, scheduler={"name": "none", "max_epochs": 2})
    examples.run_all(coordinator)
    coordinator.close()
    assert main(["audit", str(tmp_path)]) == 2
    assert "no trial of the run was stopped early" in capsys.readouterr().err
