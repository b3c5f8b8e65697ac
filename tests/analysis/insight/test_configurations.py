"""What the search believed of a configuration that several trials had."""

from __future__ import annotations

import pytest

from analysis.insight.configurations import params_key, searched_values
from analysis.record.events import Created, Finished, Report, State
from analysis.record.trials import Trials
from spaces.metric import Metric

PARAMS = {"lr": 0.1}


def repeated(*curves: tuple[State, list[float]]) -> Trials:
    """Trials of one configuration with these states and values by epoch."""
    trials = Trials()
    for number, (state, values) in enumerate(curves):
        trials.apply(Created(trial=number, params=dict(PARAMS), seed=number))
        for epoch, value in enumerate(values, start=1):
            metrics = {"val_loss": value}
            trials.apply(Report(trial=number, epoch=epoch, metrics=metrics, decision="continue"))
        if state != "running":
            trials.apply(Finished(trial=number, state=state, epoch=len(values)))
    return trials


def test_its_value_is_the_mean_at_the_last_epoch_that_all_its_trials_reached() -> None:
    trials = repeated(
        ("completed", [0.9, 0.6, 0.3]),
        ("stopped", [0.7]),
        ("completed", [0.8, 0.5, 0.4]),
        ("diverged", [0.1]),
        ("running", [0.2]),
    )
    found = searched_values(trials, Metric(name="val_loss", mode="min"))[params_key(PARAMS)]
    assert (found.trial, found.is_of_end) == (0, False)
    assert found.value == pytest.approx((0.9 + 0.7 + 0.8) / 3)


def test_with_scope_best_it_is_the_mean_of_the_best_up_to_that_epoch() -> None:
    trials = repeated(("stopped", [0.5, 0.6]), ("completed", [0.4, 0.7, 0.1]))
    metric = Metric(name="val_loss", mode="min", scope="best")
    found = searched_values(trials, metric)[params_key(PARAMS)]
    assert found.value == pytest.approx((0.5 + 0.4) / 2)


def test_where_all_came_to_their_end_it_is_the_mean_of_their_values() -> None:
    trials = repeated(("completed", [0.9, 0.3]), ("completed", [0.8, 0.5]))
    found = searched_values(trials, Metric(name="val_loss", mode="min"))[params_key(PARAMS)]
    assert (found.value, found.is_of_end) == (pytest.approx(0.4), True)
