"""``shoal audit``: trials that were stopped, taken on to the end."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.events import Created, Finished, Report
from analysis.hindsight import Hindsight
from analysis.reruns import Reruns
from analysis.run import open_run
from analysis.trials import Trial, Trials
from search.audit import stopped_sample
from search.cli import main
from search.hindsight import look_back
from search.rungs import Rungs
from spaces.experiment import Experiment
from tests import made
from tests.processes import shoal, slow_file, wait_for_epochs
from tests.search.test_confirm import events_of

Curves = Callable[[np.random.Generator], list[float]]


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
        decision = "continue" if rungs is None else rungs.arrive(number, epoch, value)
        trials.apply(Report(trial=number, epoch=epoch, metrics=metrics, decision=decision))
        if decision == "stop":
            return epoch
    return len(curve)


def audited(
    experiment: Experiment, trials: Trials, curves: list[list[float]], sample: int
) -> Hindsight:
    """What an audit of so many of its stopped trials says."""
    ends: dict[int, Trial] = {}
    for number in stopped_sample(experiment, trials, sample):
        again = Trials([Created(trial=0, params=trials.by_number[number].params, seed=0)])
        _report(again, 0, curves[number])
        again.apply(Finished(trial=0, state="completed", epoch=len(curves[number])))
        ends[number] = again.by_number[0]
    return look_back(experiment, trials, ends)


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


def test_where_the_first_epoch_tells_all_nothing_was_lost() -> None:
    experiment, curves = made.experiment(), landscape(noise=0.0)
    found = audited(experiment, searched(experiment, curves), curves, sample=12)
    assert found.beating == []
    assert found.regret.high < 0.01
    assert all(rung.correlation.value > 0.99 for rung in found.rungs)
    assert found.epochs < 0.5 * found.epochs_to_the_end


def test_where_the_first_epoch_misleads_the_audit_says_so_and_what_would_be_better() -> None:
    experiment, curves = made.experiment(), landscape(noise=2.0, seed=5)
    trials = searched(experiment, curves)
    found = audited(experiment, trials, curves, sample=30)
    first, second = found.rungs
    assert first.correlation.value < 0.5 < second.correlation.value
    assert found.beating
    assert found.regret.low > 0.0
    assert found.advice is not None
    assert found.advice.min_epochs == 3
    assert found.advice.regret < found.advice.regret_now


@pytest.mark.slow
def test_intervals_hold_what_would_have_been_in_most_made_searches() -> None:
    """Nominally in 57 of 60; what is known are 12 stopped trials of about 50."""
    experiment = made.experiment()
    beaten = regrets = 0
    for seed in range(60):
        curves = landscape(noise=(0.2, 0.5, 1.0, 2.0)[seed % 4], seed=seed)
        trials = searched(experiment, curves)
        found = audited(experiment, trials, curves, sample=12)
        assert found.best is not None
        top = curves[found.best][-1]
        ends = [curves[trial.number][-1] for trial in trials if trial.state == "stopped"]
        truly_beaten = sum(end > top for end in ends)
        regret = max(0.0, max(ends) - top)
        beaten += found.beaten.low <= truly_beaten <= found.beaten.high
        regrets += found.regret.low - 1e-9 <= regret <= found.regret.high + 1e-9
    assert beaten >= 54
    assert regrets >= 54


def test_what_stopped_trials_would_have_done_is_estimated_rung_by_rung() -> None:
    """Few were stopped late, and only those would have won: their share is not that of all."""
    experiment = made.experiment()
    scores = {1: 60, 3: 20}
    estimates, covered = [], 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        trials, curves = Trials(), []
        ends = [epoch for epoch, count in scores.items() for _ in range(count)] + [9]
        for number, epoch in enumerate(ends):
            better = epoch == 3 and draw.random() < 0.3
            curve = [0.5] * 8 + [0.9 if better else 0.4 if epoch < 9 else 0.8]
            curves.append(curve)
            params = {"lr": 0.01, "activation": "relu"}
            trials.apply(Created(trial=number, params=params, seed=seed))
            _report(trials, number, curve[:epoch])
            state = "completed" if epoch == 9 else "stopped"
            trials.apply(Finished(trial=number, state=state, epoch=epoch))
        truth = sum(curve[-1] > 0.8 for curve in curves)
        found = audited(experiment, trials, curves, sample=12)
        estimates.append((found.beaten.value, truth))
        covered += found.beaten.low <= truth <= found.beaten.high
    assert covered >= 17
    means = np.mean(estimates, axis=0)
    assert means[0] == pytest.approx(means[1], rel=0.35)  # by the share of all it would be 20


def test_code_that_always_ends_early_is_audited_without_the_rungs_that_nobody_reached() -> None:
    experiment = made.experiment(scheduler={"max_epochs": 27})
    curves = [curve[:4] for curve in landscape(noise=0.5)]
    found = audited(experiment, searched(experiment, curves), curves, sample=12)
    assert [rung.epoch for rung in found.rungs] == [1, 3]
    assert found.epochs_to_the_end == 4 * len(curves)


def test_a_sample_takes_from_every_rung_in_turn_and_a_larger_one_holds_it() -> None:
    experiment, curves = made.experiment(), landscape(noise=0.5)
    trials = searched(experiment, curves)
    rungs = {trial.epoch for trial in trials if trial.state == "stopped"}
    small, large = (stopped_sample(experiment, trials, size) for size in (4, 12))
    assert {trials.by_number[number].epoch for number in small} == rungs
    assert large[:4] == small
    assert len(stopped_sample(experiment, trials, 10_000)) == trials.counts()["stopped"]


def test_stopped_trials_go_on_from_where_they_were_as_if_never_stopped(
    tmp_path: Path, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    settings = (
        "resources.gpus=0",
        "budget.trials=8",
        "scheduler.max_epochs=9",
        "sampler.name=random",
    )
    flags = [flag for setting in settings for flag in ("--set", setting)]
    assert main(["search", "quickstart", "--run", str(run), *flags]) == 0
    to_the_end = [*flags, "--set", "scheduler.name=none"]
    assert main(["search", "quickstart", "--run", str(whole), *to_the_end]) == 0
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
    search = shoal("search", slow_file(tmp_path), "--run", str(run))
    assert search.wait(120) == 0, search.communicate()
    shutil.rmtree(run / "checkpoints")  # as after shoal clean: they begin anew
    reports = len(events_of(run, Report))
    interrupted = shoal("audit", str(run), "--sample", "2")
    wait_for_epochs(run, reports + 4, interrupted)
    interrupted.send_signal(signal.SIGINT)
    out, _ = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert f"go on with: shoal audit {run} --sample 2" in out
    done = shoal("audit", str(run), "--sample", "2")
    assert done.wait(120) == 0, done.communicate()
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
    coordinator = made.coordinator(tmp_path, scheduler={"name": "none", "max_epochs": 2})
    made.run_all(coordinator)
    coordinator.close()
    assert main(["audit", str(tmp_path)]) == 2
    assert "no trial of the run was stopped early" in capsys.readouterr().err
