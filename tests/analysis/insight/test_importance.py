"""Importance per rung on landscapes whose truth is known, and where there is nothing to tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from analysis.insight.axes import Axis, axes_of, levels_of
from analysis.insight.importance import EVALUATORS, FEWEST_TRIALS, RungImportance, rung_importance
from analysis.insight.observations import compared_epochs, observed_at, shared_epoch
from analysis.record.trials import Trial, Trials
from spaces.experiment import Experiment
from spaces.parameters import Params
from tests.support import examples
from tests.support.landscapes import run, searched, wave

SMALL = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "dropout": {"low": 0.0, "high": 0.7},
    "activation": ["tanh", "relu"],
}


def early_lr_late_activation(p: Params, epoch: int, noise: np.random.Generator) -> float:
    """At epoch 1 lr decides alone; from then on activation does, more than lr."""
    late = 0.0 if epoch == 1 else 0.6 * (p["activation"] == "relu")
    return 0.3 * wave(p["lr"]) + late + 0.02 * noise.normal()


def top(entry: RungImportance, evaluator: str = "ped-anova") -> str:
    return next(iter(entry.shares[evaluator]))  # type: ignore[index]


def test_there_is_an_entry_for_each_rung_and_the_last_epoch() -> None:
    made_run = searched(40, early_lr_late_activation, scheduler={"max_epochs": 27})
    entries = rung_importance(*made_run, resamples=2)
    assert [entry.epoch for entry in entries] == [1, 3, 9, 27]
    assert entries[0].trials == 40
    assert [entry.trials for entry in entries] == sorted((e.trials for e in entries), reverse=True)


def test_what_matters_early_is_not_what_matters_late() -> None:
    changes = {"space": SMALL, "scheduler": {"name": "none", "max_epochs": 3}}
    early, late = rung_importance(*searched(150, early_lr_late_activation, **changes), resamples=10)
    assert (top(early, "fanova"), top(late, "fanova")) == ("lr", "activation")
    for before, after in zip(early.shares.values(), late.shares.values(), strict=True):
        assert before["lr"].low > 0.8
        assert before["activation"].high < after["activation"].low
        assert all(s.low <= s.value <= s.high for s in (*before.values(), *after.values()))


def test_optunas_evaluators_on_complete_trials_get_wrong_what_early_stopping_hides() -> None:
    """Nearly all trials with a bad lr are stopped; dropout does nothing at all."""

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        good = wave(p["lr"]) > 0.5
        return 0.5 * good + 0.05 * (p["activation"] == "relu") + 0.01 * noise.normal()

    experiment, trials = searched(200, curve, space=SMALL, scheduler={"max_epochs": 9})
    complete = [trial for trial in trials if trial.state == "completed"]
    study = study_of(experiment, complete)
    for evaluator in (PedAnovaImportanceEvaluator(), FanovaImportanceEvaluator(seed=0)):
        theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
        assert theirs["dropout"] > theirs["lr"]
    ours = rung_importance(experiment, trials, resamples=10)[0]
    assert ours.trials == 200 > 5 * len(complete)
    for shares in ours.shares.values():
        assert list(shares) == ["lr", "activation", "dropout"]
        assert shares["lr"].low > shares["dropout"].high


def study_of(experiment: Experiment, trials: Sequence[Trial]) -> optuna.Study:
    """A study of trials, as Optuna's evaluators want one."""
    study = optuna.create_study(direction="maximize")
    for trial in trials:
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.value(experiment.metric),
                params=trial.params,
                distributions=experiment.search_space.distributions,
            )
        )
    return study


def test_the_share_agrees_with_optuna_where_nobody_was_stopped() -> None:
    experiment, trials = searched(
        100, early_lr_late_activation, space=SMALL, scheduler={"name": "none", "max_epochs": 1}
    )
    study = study_of(experiment, list(trials))
    theirs = optuna.importance.get_param_importances(
        study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.1)
    )
    ours = rung_importance(experiment, trials, resamples=2)[0].shares["ped-anova"]
    assert {name: share.value for name, share in ours.items()} == pytest.approx(theirs)


def test_a_parameter_without_effect_stays_below_what_chance_makes_of_it() -> None:
    entry = rung_importance(*searched(200, early_lr_late_activation, space=SMALL))[0]
    shares = entry.shares["ped-anova"]
    assert shares["lr"].chance is not None
    assert shares["lr"].low > shares["lr"].chance
    assert all(shares[name].low < (shares[name].chance or 0) for name in ("dropout", "activation"))
    assert entry.note == ""


def test_where_nothing_matters_the_note_says_so() -> None:
    entry = rung_importance(*searched(100, lambda p, epoch, noise: noise.normal(), space=SMALL))[0]
    assert entry.note == "no interval of ped-anova lies above chance"


def test_the_intervals_are_as_wide_as_the_shares_of_many_runs_differ() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return 0.3 * wave(p["lr"]) + 0.1 * (p["activation"] == "relu") + 0.05 * noise.normal()

    changes = {"space": SMALL, "scheduler": {"name": "none", "max_epochs": 1}}
    entries = [
        rung_importance(*searched(80, curve, seed=seed, **changes), resamples=20)[0]
        for seed in range(8)
    ]
    for evaluator in EVALUATORS:
        shares = [entry.shares[evaluator]["activation"] for entry in entries]
        spread = np.std([share.value for share in shares], ddof=1)
        told = np.mean([share.high - share.low for share in shares]) / (2 * 1.96)
        assert 0.5 < told / spread < 2.0


def test_the_same_seed_gives_the_same_figures() -> None:
    made_run = searched(40, early_lr_late_activation, space=SMALL)
    once, again, other = (rung_importance(*made_run, resamples=4, seed=s) for s in (1, 1, 2))
    assert once == again
    assert once != other


def test_diverged_trials_rank_worst_at_the_next_rung_only() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        assert isinstance(p["lr"], float)
        return math.nan if p["lr"] > 0.1 and epoch == 2 else 0.5 + 0.001 * noise.normal()

    experiment, trials = searched(100, curve, space=SMALL, scheduler={"max_epochs": 9})
    lost = trials.counts()["diverged"]
    at = {epoch: observed_at(experiment, trials, epoch) for epoch in (1, 3, 9)}
    assert lost > 0
    assert {epoch: observed.diverged for epoch, observed in at.items()} == {1: 0, 3: lost, 9: 0}
    ranks = at[3].ranks
    assert (ranks[np.isnan(at[3].values)] < ranks[np.isfinite(at[3].values)].min()).all()
    second = rung_importance(experiment, trials, resamples=2)[1]
    assert f"{lost} diverged trials rank worst" in second.note


def test_without_a_scheduler_diverged_trials_stay_the_worst_at_every_later_epoch() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return math.nan if p["activation"] == "tanh" else 0.5 + 0.1 * noise.normal()

    scheduler = {"name": "none", "max_epochs": 9}
    experiment, trials = searched(100, curve, space=SMALL, scheduler=scheduler)
    found = {observed_at(experiment, trials, epoch).diverged for epoch in (1, 3, 9)}
    assert found == {trials.counts()["diverged"]}
    entries = rung_importance(experiment, trials, resamples=2)
    assert {top(entry, "fanova") for entry in entries} == {"activation"}


def test_with_scope_best_the_best_value_up_to_the_epoch_counts() -> None:
    def falling(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return 1.0 / epoch

    for scope, value in (("last", 1 / 3), ("best", 1.0)):
        metric = {"name": "val_accuracy", "scope": scope}
        scheduler = {"name": "none", "max_epochs": 3}
        made_run = searched(3, falling, metric=metric, scheduler=scheduler)
        assert observed_at(*made_run, epoch=3).values.tolist() == pytest.approx([value] * 3)


def test_repeats_of_a_configuration_count_once() -> None:
    experiment = examples.experiment(repeats=3, space=SMALL, scheduler={"name": "none"})
    rows = [row for row in experiment.search_space.samples(12, 0) for _ in range(3)]
    trials = run(experiment, rows, early_lr_late_activation)
    observed = observed_at(experiment, trials, 1)
    assert (len(observed.rows), observed.trials) == (12, 36)
    values = [trial.reports[0].metrics["val_accuracy"] for trial in trials]
    assert observed.values.tolist() == pytest.approx(np.reshape(values, (12, 3)).mean(axis=1))
    assert "12 configurations" in rung_importance(experiment, trials, resamples=2)[0].note


@pytest.mark.parametrize(
    ("count", "value", "reason"),
    [
        (0, 0.5, "0 configurations are too few"),
        (1, 0.5, "1 configurations are too few"),
        (FEWEST_TRIALS - 1, 0.5, "too few"),
        (20, 0.5, "all trials have the same value"),
        (20, math.nan, "all trials diverged"),
    ],
)
def test_where_there_are_no_figures_the_entry_says_why(
    count: int, value: float, reason: str
) -> None:
    entry = rung_importance(*searched(count, lambda *_: value))[0]
    assert entry.shares == {}
    assert reason in entry.note


def test_a_space_of_one_parameter_gives_it_everything() -> None:
    entry = rung_importance(
        *searched(30, lambda p, *_: wave(p["lr"]), space={"lr": SMALL["lr"]}), resamples=3
    )[0]
    assert {name: held["lr"].value for name, held in entry.shares.items()} == {
        "ped-anova": 1.0,
        "fanova": pytest.approx(1.0),
    }


def test_a_space_in_which_nothing_varies_says_so() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return noise.normal()

    entry = rung_importance(*searched(30, curve, space={"activation": ["relu"]}))[0]
    assert (entry.shares, entry.note) == ({}, "no parameter varies")


CONDITIONAL = {
    "optimizer": ["sgd", "adam"],
    "momentum": {"low": 0.0, "high": 0.95, "when": {"optimizer": "sgd"}},
    "dropout": {"low": 0.0, "high": 0.7},
}


def test_a_conditional_parameter_is_weighed_by_the_trials_in_which_it_applies() -> None:
    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        momentum = p.get("momentum")
        gain = 0.5 if momentum is None else float(momentum)
        return gain + 0.01 * noise.normal()

    entry = rung_importance(*searched(200, curve, space=CONDITIONAL), resamples=10)[0]
    applies = sum("momentum" in t.params for t in searched(200, curve, space=CONDITIONAL)[1])
    assert f"momentum applies in {applies} of 200" in entry.note
    for shares in entry.shares.values():
        assert shares["momentum"].trials == applies
        assert shares["momentum"].value > shares["dropout"].value


def test_choices_of_mixed_types_and_named_settings_are_levels() -> None:
    space = {
        "clip_norm": [None, 1.0, 5],
        "network": {"narrow": {"hidden": [8]}, "wide": {"hidden": [64]}},
    }

    def curve(p: Params, epoch: int, noise: np.random.Generator) -> float:
        return (p["clip_norm"] is None) + 0.1 * (p["network"] == "wide") + 0.01 * noise.normal()

    experiment, trials = searched(60, curve, space=space)
    entry = rung_importance(experiment, trials, resamples=3)[0]
    assert top(entry) == "clip_norm"
    assert top(entry, "fanova") == "clip_norm"
    labels = [levels_of(axis, []).labels for axis in axes_of(experiment, list(trials))]
    assert labels == [("None", "1", "5"), ("narrow", "wide")]


def test_a_users_define_by_run_space_is_looked_at_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def train(config, context):\n    yield {'score': 1.0}\n\n"
        "def space(trial):\n"
        "    x = trial.suggest_float('x', 0.0, 1.0)\n"
        "    if x > 0.5:\n"
        "        trial.suggest_float('y', 0.0, 1.0 + x)\n"
        "    trial.suggest_int('z', 1, 4)\n"
    )
    experiment = examples.own_code_experiment(tmp_path, space=f"{tmp_path}/own.py:space")
    rows = experiment.search_space.samples(80, 1)
    trials = run(experiment, rows, lambda p, *_: float(p["x"] or 0.0))
    entry = rung_importance(experiment, trials, resamples=3)[0]
    assert top(entry) == top(entry, "fanova") == "x"
    assert entry.shares["ped-anova"]["y"].trials == sum("y" in row for row in rows)


def test_a_range_grows_to_hold_what_a_function_drew() -> None:
    experiment = examples.experiment(space={"dropout": {"low": 0.1, "high": 0.5}})
    trials = run(experiment, [{"dropout": 0.6}, {"dropout": 0.2}], lambda *_: 0.5)
    [axis] = axes_of(experiment, list(trials))
    assert axis.distribution == FloatDistribution(0.1, 0.6)


def test_the_rarest_of_many_choices_are_one_level() -> None:
    axis = Axis("x", CategoricalDistribution(range(20)))
    rows: list[Params] = [{"x": n} for n in range(20) for _ in range(20 - n)]
    levels = levels_of(axis, [*rows, {}])
    assert levels.labels == (*map(str, range(11)), "others")
    assert np.bincount(levels.codes + 1).tolist() == [1, *range(20, 9, -1), sum(range(1, 10))]


@pytest.mark.parametrize(("high", "step", "levels"), [(6, 1, 6), (11, 2, 6), (7, 1, 5)])
def test_a_short_range_of_whole_numbers_has_a_level_for_each(
    high: int, step: int, levels: int
) -> None:
    axis = Axis("depth", IntDistribution(1, high, step=step))
    assert len(levels_of(axis, [{"depth": 1}, {"depth": 3}]).labels) == levels


def test_a_range_may_have_more_numbers_than_python_counts() -> None:
    levels = levels_of(Axis("seed", IntDistribution(0, 2**63 - 1)), [{"seed": 0}, {"seed": 2**62}])
    assert len(levels.labels) > 1


def test_log_ranges_are_cut_at_equal_ratios() -> None:
    axis = Axis("lr", FloatDistribution(1e-4, 1.0, log=True))
    levels = levels_of(axis, [{"lr": 1e-4}, {"lr": 0.005}, {"lr": 1.0}])
    assert levels.bounds == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert levels.codes.tolist() == [0, 1, 3]
    assert levels.labels[1] == "0.001 to 0.01"


def test_the_bounds_of_bins_are_short_unless_the_range_is_too_narrow() -> None:
    lr = levels_of(Axis("lr", FloatDistribution(1e-4, 0.3, log=True)), [{"lr": 0.0014}])
    assert lr.bounds == pytest.approx((1e-4, 0.0014, 0.021, 0.3))
    assert lr.codes.tolist() == [1]
    narrow = levels_of(Axis("x", FloatDistribution(100.1, 100.2)), [{"x": 100.15}])
    assert narrow.bounds == pytest.approx((100.1, 100.12, 100.14, 100.16, 100.18, 100.2))
    assert narrow.codes.tolist() == [2]


def test_values_are_compared_at_the_first_rung_however_many_came_further() -> None:
    stopped = searched(60, early_lr_late_activation, scheduler={"max_epochs": 9})
    assert shared_epoch(*stopped) == 1
    better_and_better = count()  # as a sampler that learns: each passes
    experiment, trials = searched(30, lambda *_: float(next(better_and_better)))
    assert shared_epoch(experiment, trials) == 1
    assert all(trial.state == "completed" for trial in trials)


def test_values_are_compared_at_the_last_epoch_where_nobody_is_stopped() -> None:
    to_the_end = searched(10, early_lr_late_activation, scheduler={"name": "none", "max_epochs": 9})
    assert shared_epoch(*to_the_end) == 9


def empty() -> tuple[Experiment, Trials]:
    experiment = examples.experiment()
    return experiment, Trials([examples.started(experiment)])


def test_a_run_without_trials_has_entries_without_figures() -> None:
    experiment, trials = empty()
    entries = rung_importance(experiment, trials)
    assert [entry.epoch for entry in entries] == compared_epochs(experiment) == [1, 3, 9]
    assert all(entry.trials == 0 and not entry.shares for entry in entries)
