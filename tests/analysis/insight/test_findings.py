"""What is found in runs with a known truth, and that nothing is where there is nothing."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_ind

from analysis.insight.adjusted import fit_levels
from analysis.insight.evidence import Finding
from analysis.insight.failure_reasons import failures_by_reason
from analysis.insight.failures import explain_failures
from analysis.insight.findings import findings
from analysis.record.events import Created, Finished
from analysis.record.trials import Trials
from analysis.stats.intervals import newcombe, wilson
from spaces.parameters import Params
from tests.support import examples
from tests.support.landscapes import run, searched, wave

TO_THE_END = {"name": "none", "max_epochs": 3}


def noise_only(p: Params, epoch: int, noise: np.random.Generator) -> float:
    return 0.5 + 0.1 * noise.normal()


def skewed(p: Params, epoch: int, noise: np.random.Generator) -> float:
    """Most are alike and some are far worse, as after one epoch of training."""
    return (0.1 if noise.random() < 0.2 else 0.9) + 0.01 * noise.normal()


def lost_at_random(p: Params, epoch: int, noise: np.random.Generator) -> float:
    return math.nan if noise.random() < 0.15 else noise_only(p, epoch, noise)


def of_kind(found: list[Finding], kind: str) -> list[Finding]:
    return [finding for finding in found if finding.kind == kind]


@pytest.mark.parametrize("runs", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_of_pure_noise_at_most_one_run_in_twenty_is_told_anything(runs: int) -> None:
    told = 0
    for seed in range(runs):
        curve = (noise_only, skewed, lost_at_random)[seed % 3]
        experiment, trials = searched(60, curve, seed=seed, scheduler={"max_epochs": 9})
        told += bool(
            [*findings(experiment, trials), *explain_failures(experiment, trials).findings]
        )
    assert told <= runs / 20


@pytest.mark.slow
def test_of_pure_noise_in_longer_runs_without_stopping_little_is_told_either() -> None:
    told = 0
    for seed in range(100):
        curve = (noise_only, skewed, lost_at_random)[seed % 3]
        experiment, trials = searched(150, curve, seed=seed, scheduler=TO_THE_END)
        told += bool(
            [*findings(experiment, trials), *explain_failures(experiment, trials).findings]
        )
    assert told <= 5


def test_the_best_choice_is_told_with_its_lead_over_the_next() -> None:
    heights = {"none": 0.1, "sigmoid": 0.2, "tanh": 0.3, "relu": 0.5}

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return heights[str(p["activation"])] + 0.05 * noise.normal()

    found = of_kind(findings(*searched(120, curve, scheduler=TO_THE_END)), "level")
    [finding] = found
    assert finding.parameters == ("activation",)
    assert finding.sentence.startswith("activation: relu does best; its val_accuracy is 0.")
    assert "higher than with tanh, the next" in finding.sentence
    assert finding.low < 0.2 < finding.high
    assert finding.low > 0
    assert finding.epoch == 3


def test_levels_that_are_worse_are_told_where_no_best_one_is() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return 0.3 * (p["activation"] in ("tanh", "relu")) + 0.05 * noise.normal()

    [finding] = of_kind(findings(*searched(150, curve, scheduler=TO_THE_END)), "level")
    assert "do worse than" in finding.sentence
    assert "none" in finding.sentence
    assert "sigmoid" in finding.sentence


def test_a_small_loss_is_what_does_best() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return 1.0 - 0.5 * (p["norm"] == "batch") + 0.05 * noise.normal()

    metric = {"name": "val_loss"}
    [finding] = of_kind(findings(*searched(90, curve, metric=metric)), "level")
    assert finding.sentence.startswith("norm: batch does best; its val_loss is 0.")
    assert " lower than with " in finding.sentence


def test_a_few_losses_that_exploded_do_not_hide_what_the_rest_shows() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        exploded = 1e4 if noise.random() < 0.03 else 1.0
        return exploded * math.exp(-4 * (p["norm"] == "batch") + 0.3 * noise.normal())

    made_run = searched(150, curve, metric={"name": "val_loss"})
    [finding] = of_kind(findings(*made_run), "level")
    assert finding.sentence.startswith("norm: batch does best; its log10 of val_loss is ")


def test_which_choice_is_best_may_depend_on_another() -> None:
    best = {"tanh": "xavier", "relu": "he"}

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        fits = best.get(str(p["activation"])) == p["init"]
        return 0.3 * wave(p["lr"]) + 0.3 * fits + 0.03 * noise.normal()

    found = of_kind(findings(*searched(250, curve, scheduler=TO_THE_END)), "interaction")
    [finding] = [f for f in found if f.parameters == ("activation", "init")]
    assert "tanh does best with init xavier, relu with he" in finding.sentence
    assert finding.low > 0


def test_effects_that_add_up_are_no_interaction() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        add = 0.3 * (p["activation"] == "relu") + 0.3 * (p["init"] == "he")
        return add + 0.3 * wave(p["lr"]) + 0.03 * noise.normal()

    found = findings(*searched(250, curve, scheduler=TO_THE_END))
    assert of_kind(found, "interaction") == []
    assert {f.parameters[0] for f in of_kind(found, "level")} == {"activation", "init", "lr"}


def test_a_level_tried_only_in_good_company_is_not_praised_for_it() -> None:
    """As a sampler that learns does it: late trials have good rates, and by chance all relu."""
    generator = np.random.default_rng(0)
    space = {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "activation": ["tanh", "relu"]}
    experiment = examples.experiment(space=space, scheduler=TO_THE_END)
    rows: list[Params] = []
    for number in range(120):
        is_late = number >= 60
        center, width = (-2.0, 0.3) if is_late else (-2.0, 2.0)
        relu = generator.random() < (0.9 if is_late else 0.3)
        exponent = generator.uniform(center - width, center + width)
        rows.append({"lr": 10**exponent, "activation": "relu" if relu else "tanh"})

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return wave(p["lr"]) + 0.05 * noise.normal()

    trials = run(experiment, rows, curve)
    values = {name: [] for name in ("tanh", "relu")}  # type: ignore[var-annotated]
    for trial in trials:
        values[str(trial.params["activation"])].append(trial.value(experiment.metric))
    plain = ttest_ind(values["relu"], values["tanh"], equal_var=False).pvalue
    assert plain < 1e-4  # plain means say that relu is better
    assert all(finding.parameters == ("lr",) for finding in findings(experiment, trials))


def test_without_others_a_difference_is_welchs() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.normal(0.5, 0.1, 20), generator.normal(0.3, 0.3, 15)
    codes = np.repeat([0, 1], [20, 15])
    fit = fit_levels(np.concatenate([one, other]), codes, 2, np.empty((35, 0)))
    assert fit is not None
    ours = fit.difference(0, 1, alpha=0.05)
    theirs = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert ours.value == pytest.approx(one.mean() - other.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.03)


@pytest.mark.parametrize("count", [0, 1, 8])
def test_of_few_trials_nothing_is_said(count: int) -> None:
    experiment, trials = searched(count, lambda p, *_: wave(p["lr"]))
    assert findings(experiment, trials) == []
    assert explain_failures(experiment, trials).findings == []


@pytest.mark.parametrize("value", [0.5, math.nan])
def test_nothing_is_said_where_all_trials_are_alike(value: float) -> None:
    experiment, trials = searched(60, lambda *_: value, scheduler=TO_THE_END)
    assert findings(experiment, trials) == []
    assert explain_failures(experiment, trials).findings == []


def test_a_conditional_space_of_mixed_types_is_looked_at() -> None:
    space = {
        "optimizer": ["sgd", "adam"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        "clip_norm": [None, 1.0, 5],
        "network": {"narrow": {"hidden": [8]}, "wide": {"hidden": [64]}},
    }

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return 0.3 * (p["clip_norm"] is None) + 0.02 * noise.normal()

    [finding] = findings(*searched(100, curve, space=space))
    assert finding.sentence.startswith("clip_norm: None does best")


def diverging(p: Params, epoch: int, noise: np.random.Generator) -> float:
    assert isinstance(p["lr"], float)
    return math.nan if p["lr"] > 0.1 and p["norm"] != "batch" else 0.5 + 0.01 * noise.normal()


def test_it_is_told_where_trials_diverged() -> None:
    experiment, trials = searched(150, diverging)
    failures = explain_failures(experiment, trials)
    assert failures.diverged == trials.counts()["diverged"]
    first, second = failures.findings
    match = re.fullmatch(
        r"(\d+) of (\d+) trials with lr above (.+) diverged, 0 of (\d+) with lower ones",
        first.sentence,
    )
    assert match is not None
    cut = float(match[3])
    high = sum(float(trial.params["lr"] or 0) > cut for trial in trials)
    assert 0.07 < cut < 0.12
    assert [int(match[place]) for place in (1, 2, 4)] == [failures.diverged, high, 150 - high]
    assert second.parameters == ("norm",)
    assert "and norm other than batch diverged, 0 of" in second.sentence
    assert all(0 < finding.low <= finding.value <= finding.high for finding in failures.findings)


def test_the_shares_of_the_lost_stand_at_their_levels() -> None:
    failures = explain_failures(*searched(150, diverging))
    by = {table.parameter: table for table in failures.diverged_by}
    lr, norm = by["lr"].levels, {level.label: level for level in by["norm"].levels}
    assert [level.count for level in lr[:3]] == [0, 0, 0]
    assert lr[3].count == failures.diverged
    assert norm["batch"].share == 0.0
    assert norm["batch"].high == wilson(0, norm["batch"].n, 0.05).high
    assert sum(level.n for level in norm.values()) == failures.trials == 150


def test_chance_is_not_blamed_on_a_parameter() -> None:
    told = [bool(explain_failures(*searched(80, lost_at_random, s)).findings) for s in range(30)]
    assert sum(told) <= 1


def test_the_reasons_of_failed_trials_are_their_last_lines() -> None:
    experiment = examples.experiment()
    trials = Trials([examples.started(experiment)])
    reasons = ["Traceback\n  line\nValueError: no\n", "ValueError: no", None, "  \n"]
    for number, reason in enumerate(reasons):
        params: Params = {"lr": 0.01, "activation": "relu"}
        trials.apply(Created(trial=number, params=params, seed=number))
        trials.apply(Finished(trial=number, state="failed", epoch=0, reason=reason))
    told = [(entry.reason, len(entry.trials)) for entry in failures_by_reason(trials)]
    assert told == [("ValueError: no", 2), ("no reason was recorded", 2)]
    failures = explain_failures(experiment, trials)
    assert failures.failed == 4
    assert failures.diverged_by == []


def test_where_trials_failed_is_told_as_well() -> None:
    experiment = examples.experiment()
    trials = Trials([examples.started(experiment)])
    for number, row in enumerate(experiment.search_space.samples(60, 0)):
        trials.apply(Created(trial=number, params=row, seed=number))
        state = "failed" if row["activation"] == "tanh" else "completed"
        trials.apply(Finished(trial=number, state=state, epoch=0, reason="out of memory"))
    failures = explain_failures(experiment, trials)
    [finding] = failures.findings
    n = failures.failed
    assert finding.sentence == (
        f"{n} of {n} trials with activation tanh failed, 0 of {60 - n} with other choices"
    )


def test_wilsons_and_newcombes_intervals_are_those_of_the_literature() -> None:
    """Newcombe 1998, Statistics in Medicine 17: 873, table II: 56/70 and 48/80, method 10."""
    assert wilson(81, 263, 0.05)[1:] == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert newcombe((56, 70), (48, 80), 0.05)[1:] == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_trials_of_a_real_search_are_looked_at(tmp_path: Path) -> None:
    coordinator = examples.coordinator(tmp_path, budget={"trials": 30})
    examples.run_all(coordinator)
    trials, experiment = coordinator.trials, examples.experiment(budget={"trials": 30})
    assert trials.counts()["stopped"] > 0
    assert findings(experiment, trials) == []  # the made curves know nothing of the params
    assert explain_failures(experiment, trials).trials == 30
