"""Where axes open, and which bars are drawn."""

from __future__ import annotations

import pytest

from analysis.report.drawing import error_bars, opening
from spaces.metric import Metric


def test_a_few_very_poor_values_lie_beyond_where_an_axis_opens() -> None:
    values = [0.1, 0.2, *(0.95 + place / 1000 for place in range(20))]
    axis = opening(values, Metric(mode="max"))
    low, high = axis.layout["range"]
    assert 0.9 < low < 0.95
    assert max(values) < high < 1.0
    assert axis.beyond == 2
    assert "2 values lie beyond" in axis.note
    assert low < axis.bottom < 0.95


def test_an_axis_opens_on_all_where_no_value_is_far_below_the_others() -> None:
    axis = opening([0.2, 0.4, 0.6, 0.8], Metric(mode="max"))
    assert (axis.layout, axis.beyond, axis.note) == ({"type": "linear"}, 0, "")
    assert axis.bottom < 0.2


def test_a_logarithmic_axis_opens_in_powers_of_ten() -> None:
    values = [*(1e-3 * (1 + place / 10) for place in range(10)), 1e6]
    axis = opening(values, Metric(mode="min"), is_log=True)
    low, high = axis.layout["range"]
    assert -3.1 < low < -3.0
    assert -2.7 < high < -2.0
    assert 10**low < axis.bottom < 1e-3


def test_the_baseline_is_on_the_axis_however_poor_it_is() -> None:
    values = [0.1, 0.2, *(0.95 + place / 1000 for place in range(20))]
    low, _ = opening(values, Metric(mode="max"), shown=[0.2]).layout["range"]
    assert 0.1 < low < 0.2


@pytest.mark.parametrize("values", [[], [0.5], [1e308, -1e308], [0.5] * 9 + [0.1]])
def test_an_axis_opens_whatever_the_values_are(values: list[float]) -> None:
    bounds = opening(values, Metric(mode="max")).layout.get("range", [0.0, 1.0])
    assert bounds[0] < bounds[1]


def test_a_value_without_an_interval_has_no_bar() -> None:
    bars = error_bars([(0.5, 0.25, 1.0), (0.5, None, None)], "--best")
    assert bars["array"] == [0.5, None]
    assert bars["arrayminus"] == [0.25, None]
