"""Which way a metric is better: known by usual names, else asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from spaces import InputError
from spaces.checks import parse_experiment
from spaces.directions import usual_mode
from spaces.experiment import Experiment
from spaces.sections import parse_section

OWN = {"trainable": f"{Path(__file__).with_name('own_code.py')}:train", "budget": {"trials": 1}}


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("val_loss", "min"),
        ("val_rmse", "min"),
        ("RMSE", "min"),
        ("valRMSE", "min"),
        ("validation.mean-absolute-error", "min"),
        ("test/nll", "min"),
        ("perplexity", "min"),
        ("brier_score", "min"),
        ("val_accuracy", "max"),
        ("macro F1", "max"),
        ("R2", "max"),
        ("rocAuc", "max"),
        ("score", "max"),
        ("speed", None),
        ("loss_ratio", None),
        ("glossy", None),
        ("blossom", None),
        ("accuracyloss", None),
        ("neg_mean_squared_error", None),
        ("", None),
        ("…", None),
        ("точность", None),
    ],
)
def test_the_last_word_of_a_name_tells_which_values_are_better(name: str, mode: str | None) -> None:
    assert usual_mode(name) == mode


def test_the_direction_of_an_unknown_metric_is_asked_for() -> None:
    with pytest.raises(InputError) as caught:
        parse_experiment({"name": "x", **OWN, "metric": {"name": "speed"}})
    assert [str(problem) for problem in caught.value.problems] == [
        "metric.mode: say which values of 'speed' are better: min or max, such as metric: "
        "{name: speed, mode: max}"
    ]


def test_a_direction_that_is_given_stands() -> None:
    for mode in ("min", "max"):
        metric = {"name": "speed", "mode": mode}
        assert parse_experiment({"name": "x", **OWN, "metric": metric}).metric.mode == mode


def test_what_a_journal_holds_has_the_direction_spelled_out() -> None:
    experiment = parse_experiment({"name": "x", **OWN, "metric": {"name": "val_rmse"}})
    assert experiment.plain()["metric"]["mode"] == "min"
    older = {**experiment.plain(), "metric": {"name": "speed", "mode": "max", "scope": "last"}}
    assert parse_section(Experiment, older).metric.mode == "max"
    assert parse_experiment(older).metric.mode == "max"
