from __future__ import annotations

import math

import pytest
from scipy import stats

from analysis.estimates import difference, estimate, finite

A = [0.912, 0.921, 0.917, 0.909, 0.925]
B = [0.88, 0.91, 0.86]


def test_an_interval_is_that_of_students_t() -> None:
    found = estimate(A)
    assert found is not None
    expected = stats.ttest_1samp(A, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.se == pytest.approx(stats.sem(A))


def test_the_interval_of_a_difference_is_welchs() -> None:
    found = difference(A, B)
    assert found is not None
    expected = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_one_score_says_nothing_of_its_spread() -> None:
    assert estimate([0.9]) is None
    assert difference([0.9], A) is None


def test_scores_without_any_spread_have_an_interval_of_no_width() -> None:
    found = difference([0.5, 0.5], [0.25, 0.25, 0.25])
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_tiny_spreads_do_not_underflow() -> None:
    found = difference([1e-170, 2e-170], [1e-170, 3e-170])
    assert found is not None
    assert math.isfinite(found.half)


def test_lost_trainings_are_left_out() -> None:
    assert finite([0.5, math.nan, 0.25, math.inf]) == [0.5, 0.25]
