"""Groups of trials, their figures and their curves, against calculations by hand."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from analysis.insight.axes import Axis, levels_of
from analysis.insight.comparison import MOST_GROUPS, compare_groups, curve_panels, group_trials
from analysis.record.trials import Reported, Trial
from spaces.experiment import Experiment
from spaces.metric import Metric
from spaces.problems import InputError
from tests.support import examples

ACCURACY = Metric(name="val_accuracy", mode="max")
LOSS = Metric(name="val_loss", mode="min")
SPACE: dict[str, BaseDistribution] = {
    "activation": CategoricalDistribution(["tanh", "relu", None]),
    "lr": FloatDistribution(1e-5, 1.0),
    "width": IntDistribution(1, 100),
}


def to_the_end(epochs: int, metric: Metric = ACCURACY) -> Experiment:
    """An experiment that stops nobody."""
    made_one = examples.experiment(scheduler={"name": "none", "max_epochs": epochs})
    return made_one.model_copy(update={"metric": metric})


def stopping() -> Experiment:
    """An experiment with rungs at 1 and 3, and 9 epochs."""
    return examples.experiment()


def trial(number: int, values: list[float], state: Any = "completed", **params: Any) -> Trial:
    """A trial with this accuracy at each epoch; the training accuracy is 0.1 above."""
    reports = [
        Reported(
            epoch,
            {
                "train_loss": 1.1 - value,
                "val_loss": 1.0 - value,
                "val_accuracy": value,
                "train_accuracy": value + 0.1,
            },
            "continue",
            0,
        )
        for epoch, value in enumerate(values, start=1)
    ]
    return Trial(number, params, seed=0, state=state, reports=reports)


def test_trials_are_grouped_in_the_order_of_the_choices() -> None:
    trials = [
        trial(0, [0.1], activation="relu"),
        trial(1, [0.1], activation=None),
        trial(2, [0.1], activation="tanh"),
        trial(3, [0.1], activation="relu"),
        trial(4, [], activation="tanh"),  # has reported nothing
        trial(5, [0.1]),  # its condition did not hold
    ]
    groups = group_trials(trials, SPACE, ["activation"])
    assert [group.label for group in groups] == ["tanh", "relu", "None", "not active"]
    assert [[t.number for t in group.trials] for group in groups] == [[2], [0, 3], [1], [5]]


def test_few_numbers_are_groups_and_many_are_cut_into_the_bins_of_the_report() -> None:
    few = [trial(n, [0.1], width=10 * (3 - n % 3)) for n in range(6)]
    assert [group.label for group in group_trials(few, SPACE, ["width"])] == ["10", "20", "30"]
    many = [trial(n, [0.1], lr=(n + 1) / 100) for n in range(40)]
    bins = group_trials(many, SPACE, ["lr"])
    levels = levels_of(Axis("lr", FloatDistribution(1e-5, 1.0)), [t.params for t in many])
    assert [group.label for group in bins] == list(levels.labels[:3])
    assert [len(group.trials) for group in bins] == np.bincount(levels.codes).tolist()
    assert sum(len(group.trials) for group in bins) == 40


def test_values_that_look_the_same_are_shown_in_full() -> None:
    near = [trial(n, [0.1], lr=0.1 + n * 1e-6) for n in range(3)]
    labels = [group.label for group in group_trials(near, SPACE, ["lr"])]
    assert labels[:2] == ["0.1", "0.100001"]


def test_values_beyond_what_the_space_says_are_in_a_group() -> None:
    many = [trial(n, [0.1], width=1000 + n) for n in range(40)]
    groups = group_trials(many, SPACE, ["width"])
    assert sum(len(group.trials) for group in groups) == 40


def test_two_fields_make_a_group_of_each_combination() -> None:
    trials = [
        trial(n, [0.1], activation=a, width=w)
        for n, (a, w) in enumerate(
            [("tanh", 1), ("relu", 1), ("tanh", 2), ("relu", 2), ("tanh", 1)]
        )
    ]
    groups = group_trials(trials, SPACE, ["activation", "width"])
    assert [group.label for group in groups] == ["tanh, 1", "tanh, 2", "relu, 1", "relu, 2"]
    assert [len(group.trials) for group in groups] == [2, 1, 1, 1]


def test_the_figures_are_those_calculated_by_hand() -> None:
    trials = [
        trial(0, [0.5, 0.90, 0.96, 0.94], activation="tanh"),
        trial(1, [0.8, 0.82, 0.80, 0.80], activation="tanh"),
    ]
    groups = group_trials(trials, SPACE, ["activation"])
    (row,) = compare_groups(to_the_end(4), groups)
    assert (row["trials"], row["epoch"]) == (2, 4)
    assert row["value"] == {"mean": pytest.approx(0.87), "sd": pytest.approx(0.0989949), "n": 2}
    assert row["best"] == {"trial": 0, "value": 0.94, "epoch": 4}
    assert row["training"]["mean"] == pytest.approx(0.97)
    assert row["gap"]["mean"] == pytest.approx(0.1)
    assert row["epochs_to_95"]["mean"] == (3 + 1) / 2  # 0.912 and 0.779 are near enough
    assert [held["epoch"] for held in row["by_epoch"]] == [1, 3, 4]
    assert row["by_epoch"][0]["value"]["mean"] == pytest.approx(0.65)
    (row,) = compare_groups(to_the_end(4, LOSS), groups)
    assert row["best"]["value"] == pytest.approx(0.06)
    assert row["gap"]["mean"] == pytest.approx(-0.1)  # this training loss is above


def test_a_group_is_not_worse_for_its_trials_that_were_stopped() -> None:
    """The mean of last values would be 0.575 for relu, which is better at every epoch."""
    long = [0.6, 0.7, 0.8, *[0.9] * 5]
    trials = [trial(n, [0.5], "stopped", activation="relu") for n in range(5)]
    trials += [
        trial(5, [*long, 0.95], activation="relu"),
        trial(6, [0.45], "stopped", activation="tanh"),
        trial(7, [*long, 0.90], activation="tanh"),
    ]
    tanh, relu = compare_groups(stopping(), group_trials(trials, SPACE, ["activation"]))
    assert relu["epoch"] == tanh["epoch"] == 1
    assert (relu["value"]["n"], tanh["value"]["n"]) == (6, 2)
    assert relu["value"]["mean"] == pytest.approx((5 * 0.5 + 0.6) / 6)
    assert relu["gap"]["mean"] == pytest.approx(0.1)
    assert relu["best"] == {"trial": 5, "value": 0.95, "epoch": 9}
    assert relu["epochs_to_95"]["n"] == 1
    last = relu["by_epoch"][-1]
    assert (last["epoch"], last["value"]) == (9, {"mean": 0.95, "sd": None, "n": 1})


def test_the_best_epoch_so_far_counts_with_its_own_training_score() -> None:
    best = Metric(name="val_accuracy", mode="max", scope="best")
    curve = trial(0, [0.5, 0.9, 0.7, 0.6], activation="relu")
    curve.reports[1].metrics["train_accuracy"] = 0.95
    (row,) = compare_groups(to_the_end(4, best), group_trials([curve], SPACE, ["activation"]))
    assert (row["epoch"], row["value"]["mean"]) == (4, 0.9)
    assert row["best"] == {"trial": 0, "value": 0.9, "epoch": 2}
    assert row["gap"]["mean"] == pytest.approx(0.05)


def test_what_diverged_does_not_spoil_the_figures_of_its_group() -> None:
    trials = [
        trial(0, [0.5, math.nan], "diverged", activation="relu"),
        trial(3, [0.1], "diverged", activation="relu"),  # a loss has exploded
        trial(4, [0.2], "failed", activation="relu"),
        trial(1, [0.7], "stopped", activation="relu"),
        trial(2, [math.nan], "diverged", activation="tanh"),
    ]
    tanh, relu = compare_groups(stopping(), group_trials(trials, SPACE, ["activation"]))
    assert relu["value"] == {"mean": pytest.approx((0.5 + 0.2 + 0.7) / 3), "sd": ANY, "n": 3}
    assert relu["states"] == {"diverged": 2, "failed": 1, "stopped": 1}
    assert relu["best"]["trial"] == 1
    assert tanh["value"] is tanh["best"] is tanh["epochs_to_95"] is None


def test_curves_are_means_in_a_band_and_thin_where_trials_were_stopped() -> None:
    trials = [
        trial(0, [0.2, 0.4, 0.6], activation="relu"),
        trial(1, [0.4], "stopped", activation="relu"),
        trial(2, [0.5, 0.7], activation="tanh"),
    ]
    panels = curve_panels(group_trials(trials, SPACE, ["activation"]), ACCURACY)
    assert [panel.title for panel in panels] == [
        "train_loss",
        "val_loss",
        "train_accuracy",
        "val_accuracy",
    ]
    tanh, relu = panels[-1].lines
    assert (tanh.x, tanh.y, tanh.band, tanh.dashed_from) == ([1, 2], [0.5, 0.7], None, None)
    assert relu.x == [1, 2, 3]
    assert relu.y == pytest.approx([0.3, 0.4, 0.6])
    assert relu.band is not None
    assert [band[0] for band in relu.band] == pytest.approx([0.2, 0.4])
    assert relu.dashed_from == 1


def test_metrics_of_own_code_have_a_panel_of_their_own() -> None:
    own = Trial(0, {"lr": 0.1}, 0, "completed", [Reported(1, {"score": 3.0}, "continue", 0)])
    groups = group_trials([own], SPACE, ["lr"])
    metric = Metric(name="score", mode="max")
    assert [panel.title for panel in curve_panels(groups, metric)] == ["score"]
    own.reports[0].metrics["train_loss"] = 1.0
    titles = [panel.title for panel in curve_panels(groups, metric)]
    assert titles == ["train_loss", "score"]
    (row,) = compare_groups(to_the_end(1, metric), groups)
    assert row["gap"] is row["training"] is None


def test_what_cannot_be_grouped_is_told() -> None:
    trials = [trial(n, [0.1], lr=0.1 * n, activation="tanh", width=n) for n in range(50)]
    with pytest.raises(
        InputError, match="unknown parameter 'colour'; valid: activation, lr, width"
    ):
        group_trials(trials, SPACE, ["colour"])
    with pytest.raises(InputError, match="no trial of this run has reported"):
        group_trials([trial(0, [], activation="tanh")], SPACE, ["activation"])
    many: dict[str, BaseDistribution] = {
        "name": CategoricalDistribution([str(n) for n in range(50)])
    }
    named = [trial(n, [0.1], name=str(n)) for n in range(50)]
    with pytest.raises(InputError, match=f"name make 50 groups; at most {MOST_GROUPS}"):
        group_trials(named, many, ["name"])
