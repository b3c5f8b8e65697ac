"""``shoal audit``: trials that were stopped, taken on to the end."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from analysis.display.scale import Scale
from analysis.record.events import Created, Finished, Job, Report
from analysis.record.folder import open_run
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from analysis.verdict.audit import Hindsight
from search.cli.main import main
from search.control.asha import Rungs
from search.rerun.audit import Audit, audit_order
from search.rerun.audit_findings import look_back
from spaces.experiment import Experiment
from tests.support import examples
from tests.support.invariants import events_of
from tests.support.processes import shoal, slow_file, wait_for_epochs

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
        decision = "continue" if rungs is None else rungs.decide(number, epoch, value)
        if rungs is not None:
            rungs.arrive(number, epoch, value)
        trials.apply(Report(trial=number, epoch=epoch, metrics=metrics, decision=decision))
        if decision == "stop":
            return epoch
    return len(curve)


def audited(
    experiment: Experiment, trials: Trials, curves: list[list[float]], sample: int
) -> Hindsight:
    """What an audit of so many of its stopped trials says."""
    ends: dict[int, Trial] = {}
    for number in audit_order(experiment, trials)[:sample]:
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


def saturating(draw: np.random.Generator, speeds: float = 0.6) -> list[list[float]]:
    """Accuracies of 60 trials: each comes near an end of its own at a speed of its own."""
    epochs = np.arange(1, 10)
    lacking = np.exp(draw.normal(np.log(0.06), 0.6, 60)).clip(0.012, 0.8)
    speed = np.exp(draw.normal(np.log(1.2), speeds, 60))
    curves = 1 - (lacking[:, None] + (0.9 - lacking[:, None]) * np.exp(-np.outer(speed, epochs)))
    return (curves + draw.normal(0.0, 0.004, curves.shape)).clip(0.0, 1.0).tolist()


def learning(draw: np.random.Generator) -> list[list[float]]:
    """Accuracies of a search that gets better with every trial."""
    epochs = np.arange(1, 10)
    lacking = np.exp(np.linspace(np.log(0.15), np.log(0.03), 60) + draw.normal(0.0, 0.4, 60))
    lacking = lacking.clip(0.01, 0.8)
    speed = np.exp(draw.normal(np.log(1.5), 0.4, 60))
    curves = 1 - (lacking[:, None] + (0.9 - lacking[:, None]) * np.exp(-np.outer(speed, epochs)))
    return (curves + draw.normal(0.0, 0.003, curves.shape)).clip(0.0, 1.0).tolist()


def slow_starters(draw: np.random.Generator) -> list[list[float]]:
    """Accuracies where who learns slowly ends better, in part."""
    epochs = np.arange(1, 10)
    pace = draw.normal(0.0, 0.8, 60)
    lacking = np.exp(np.log(0.05) + 0.5 * pace + draw.normal(0.0, 0.4, 60)).clip(0.01, 0.7)
    curves = 1 - (
        lacking[:, None] + (0.9 - lacking[:, None]) * np.exp(-np.outer(np.exp(pace), epochs))
    )
    return (curves + draw.normal(0.0, 0.003, curves.shape)).clip(0.0, 1.0).tolist()


MADE: dict[str, Curves] = {
    "the first epoch tells much": lambda draw: saturating(draw, speeds=0.1),
    "speeds of their own": saturating,
    "slow starters": slow_starters,
    "a search that learns": learning,
    "misleading starts": lambda draw: landscape(1.0, seed=int(draw.integers(1 << 30))),
}


def test_where_the_first_epoch_tells_all_nothing_was_lost() -> None:
    experiment, curves = examples.experiment(), landscape(noise=0.0)
    found = audited(experiment, searched(experiment, curves), curves, sample=12)
    assert found.beating == []
    assert found.regret is None
    assert found.chance is not None
    assert found.chance < 0.01
    assert found.bound < 0.001
    assert all(rung.correlation.value > 0.99 for rung in found.rungs)
    assert found.epochs < 0.5 * found.epochs_to_the_end
    assert not any("regret: " in sentence for sentence in found.sentences)


def test_where_the_first_epoch_misleads_the_audit_says_so() -> None:
    experiment, curves = examples.experiment(), landscape(noise=2.0, seed=5)
    found = audited(experiment, searched(experiment, curves), curves, sample=30)
    first, second = found.rungs
    assert first.correlation.value < 0.5 < second.correlation.value
    top, shown = curves[found.best][-1], curves[found.beating[0]][-1]
    assert found.regret == pytest.approx(shown - top)
    assert found.bound >= found.regret
    told = "; ".join(found.sentences)
    assert f"for trial {found.beating[0]} ended so much better" in told
    assert "upper bound of the regret (95 %)" in told


def test_where_all_stopped_trials_were_trained_to_the_end_the_regret_is_known() -> None:
    experiment, curves = examples.experiment(), landscape(noise=1.0, seed=3)
    found = audited(experiment, searched(experiment, curves), curves, sample=60)
    truth = max(curve[-1] for curve in curves) - curves[found.best][-1]
    assert found.audited == found.stopped
    assert found.chance is None
    assert found.bound == (found.regret or 0.0) == pytest.approx(truth)
    assert not any("upper bound" in sentence for sentence in found.sentences)


def test_the_scores_of_a_small_loss_are_told_in_its_own_digits() -> None:
    found = Hindsight(
        stopped=9, audited=4, best=2, beating=[7], regret=4e-6, chance=0.001, bound=2.5e-5,
        rungs=[], epochs=10, epochs_to_the_end=90, scale=Scale(is_share=False),
    )  # fmt: skip
    told = "; ".join(found.sentences)
    assert "stopping lost 4e-06 at least" in told
    assert "upper bound of the regret (95 %): 2.5e-05" in told
    assert "the chance that any of the other 5 stopped trials would have: <1%" in told


@dataclass
class Judged:
    """An audit of a made search, and the truth."""

    found: Hindsight
    regret: float
    would_others_have_won: bool


def judged(name: str, seed: int) -> Judged:
    """An audit of 12 of about 50 stopped trials."""
    experiment, curves = examples.experiment(), MADE[name](np.random.default_rng(seed))
    trials = searched(experiment, curves)
    found = audited(experiment, trials, curves, sample=12)
    top = curves[found.best][-1]
    others = audit_order(experiment, trials)[12:]
    best = max(curves[trial.number][-1] for trial in trials if trial.state == "stopped")
    won = any(curves[number][-1] > top for number in others)
    return Judged(found, max(0.0, best - top), won)


@pytest.mark.parametrize("name", MADE)
def test_a_regret_is_told_only_where_audited_trials_show_it(name: str) -> None:
    for seed in range(4):
        case = judged(name, seed)
        is_told = any("stopping lost" in sentence for sentence in case.found.sentences)
        assert is_told == bool(case.found.beating) == (case.found.regret is not None)
        if case.found.regret is not None:
            assert 0.0 < case.found.regret <= case.regret + 1e-12
        assert sum("upper bound" in sentence for sentence in case.found.sentences) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_the_bound_holds_and_the_chance_comes_true_as_often_as_it_says(name: str) -> None:
    cases = [judged(name, seed) for seed in range(60)]
    assert sum(case.regret <= case.found.bound + 1e-12 for case in cases) >= 54  # nominally 57
    chances = [case.found.chance for case in cases if case.found.chance is not None]
    wins = [case.would_others_have_won for case in cases]
    assert np.mean(chances) == pytest.approx(np.mean(wins), abs=0.25)
    told = [case.found.regret for case in cases if case.found.regret is not None]
    assert max(told, default=0.0) <= max(case.regret for case in cases)


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
    coordinator = examples.coordinator(tmp_path, scheduler={"name": "none", "max_epochs": 2})
    examples.run_all(coordinator)
    coordinator.close()
    assert main(["audit", str(tmp_path)]) == 2
    assert "no trial of the run was stopped early" in capsys.readouterr().err
