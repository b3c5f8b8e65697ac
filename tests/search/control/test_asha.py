from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.record.events import Decision
from search.control.asha import Rungs
from spaces.metric import Metric
from spaces.scheduler import Scheduler

MAX = Metric(name="a", mode="max")
MIN = Metric(name="a", mode="min")
VALUES = st.lists(
    st.one_of(st.integers(0, 5).map(float), st.just(math.nan), st.floats(0, 5)), max_size=40
)


def rungs(metric: Metric = MAX, **changes: object) -> Rungs:
    return Rungs(Scheduler(**{"name": "asha", "max_epochs": 27, **changes}), metric)  # type: ignore[arg-type]


def arrive(rule: Rungs, trial: int, epoch: int, value: float) -> Decision:
    """What is decided, which changes nothing, and then counted."""
    before = copy.deepcopy(vars(rule))
    decision = rule.decide(trial, epoch, value)
    assert vars(rule) == before
    rule.arrive(trial, epoch, value)
    return decision


def decisions(rule: Rungs, values: list[float]) -> list[str]:
    return [arrive(rule, trial, 1, value) for trial, value in enumerate(values)]


def test_rungs_stand_at_powers_of_the_factor_below_max_epochs() -> None:
    assert Scheduler(min_epochs=2, max_epochs=54, reduction_factor=3).rung_epochs == [2, 6, 18]
    assert Scheduler(min_epochs=1, max_epochs=1).rung_epochs == []


def test_a_trial_goes_one_rung_further_in_so_many_and_without_rungs_to_the_end() -> None:
    assert Scheduler(max_epochs=9).average_epochs == 1 + 2 / 3 + 6 / 9
    assert Scheduler(name="none", max_epochs=9).average_epochs == 9


def test_the_first_arrivals_pass_until_there_are_as_many_as_the_factor() -> None:
    assert decisions(rungs(), [0.1, 0.0]) == ["continue", "continue"]


def test_of_three_only_the_best_passes() -> None:
    assert decisions(rungs(), [0.5, 0.6, 0.55]) == ["continue", "continue", "stop"]
    assert decisions(rungs(), [0.5, 0.6, 0.7]) == ["continue"] * 3


def test_with_mode_min_smaller_is_better() -> None:
    assert decisions(rungs(MIN), [0.5, 0.6, 0.4]) == ["continue"] * 3
    assert decisions(rungs(MIN), [0.5, 0.6, 0.7]) == ["continue", "continue", "stop"]


def test_a_tie_goes_to_the_lower_trial_number() -> None:
    late = rungs()
    assert [arrive(late, trial, 1, 0.5) for trial in (2, 1, 0)] == ["continue"] * 3
    early = rungs()
    assert [arrive(early, trial, 1, 0.5) for trial in (0, 1, 2)][-1] == "stop"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_ranks_worst(value: float) -> None:
    assert decisions(rungs(), [0.1, 0.2, value])[-1] == "stop"
    assert decisions(rungs(MIN), [0.1, 0.2, value])[-1] == "stop"
    assert decisions(rungs(), [value, value, 0.1])[-1] == "continue"


def test_an_epoch_without_a_rung_stops_nobody() -> None:
    rule = rungs()
    assert [arrive(rule, trial, 2, 0.0) for trial in range(9)] == ["continue"] * 9


def test_without_a_scheduler_nobody_is_stopped() -> None:
    rule = rungs(name="none")
    assert decisions(rule, [0.9, 0.8, 0.1]) == ["continue"] * 3
    assert rule.by_epoch == {}


def test_a_late_arrival_is_compared_with_all_before_it() -> None:
    rule = rungs()
    decisions(rule, [0.9] * 30)
    assert arrive(rule, 99, 1, 0.8) == "stop"
    assert arrive(rule, 100, 1, 0.91) == "continue"


def test_a_window_forgets_the_arrivals_before_it() -> None:
    history, latest = [0.9] * 10, [0.1, 0.2, 0.3]
    assert decisions(rungs(), history + latest)[-1] == "stop"
    assert decisions(rungs(window=3), history + latest)[-1] == "continue"


@given(values=VALUES, seed=st.randoms(use_true_random=False))
def test_the_decision_depends_on_the_set_of_arrivals_not_on_their_order(
    values: list[float], seed: object
) -> None:
    arrivals = list(enumerate(values))
    shuffled = list(arrivals)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    last = (len(values), 2.5)
    outcomes = []
    for order in (arrivals, shuffled):
        rule = rungs()
        for trial, value in order:
            arrive(rule, trial, 1, value)
        outcomes.append(arrive(rule, last[0], 1, last[1]))
    assert outcomes[0] == outcomes[1]


@given(values=VALUES, factor=st.integers(2, 5), window=st.none() | st.integers(2, 10))
def test_the_rule_agrees_with_its_plain_definition(
    values: list[float], factor: int, window: int | None
) -> None:
    rule = rungs(reduction_factor=factor, window=window)
    seen: list[tuple[float, int]] = []
    for trial, value in enumerate(values):
        seen.append((-value if math.isfinite(value) else math.inf, trial))
        compared = sorted(seen[-window:] if window else seen)
        passes = len(compared) < factor or compared.index(seen[-1]) < len(compared) // factor
        assert arrive(rule, trial, 1, value) == ("continue" if passes else "stop")
    counts = rule.by_epoch[1]
    assert counts.entered == len(values)
    assert counts.passed <= counts.entered
