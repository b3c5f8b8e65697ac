from __future__ import annotations

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from search.control.sampler import Sampler
from search.control.tpe_storage import History
from spaces.metric import Metric
from tests.support.proposals import begin, ended, experiment, propose

MOST = 300


def history(ends: list[int], most: int | None = MOST, total: int = 1000) -> History:
    """A study of ``total`` trials, of which these have ended in this order.

    Every fourth is pruned at one of three epochs; a trial's value is its number modulo 97.
    """
    shown = History(Metric(name="val_accuracy", mode="max"), most)
    study = shown.create_new_study([StudyDirection.MAXIMIZE], "made")
    trials = [shown.create_new_trial(study) for _ in range(total)]
    for number in ends:
        value = float(number % 97)
        shown.set_trial_intermediate_value(trials[number], number % 3, value)
        state = TrialState.PRUNED if number % 4 == 0 else TrialState.COMPLETE
        shown.set_trial_state_values(trials[number], state, [value])
    return shown


def numbers(shown: History, *states: TrialState) -> list[int]:
    return [trial.number for trial in shown.get_all_trials(0, False, states or None)]


def test_a_draft_begins_what_was_queued_in_it() -> None:
    study = optuna.load_study(study_name="made", storage=history([0, 1]).draft())
    study.enqueue_trial({"x": 0.25})
    trial = study.ask()
    assert (trial.number, trial.suggest_float("x", 0.0, 1.0)) == (1000, 0.25)
    assert study.ask().number == 1001


def test_all_trials_are_shown_as_long_as_they_are_few() -> None:
    assert numbers(history(list(range(MOST)))) == list(range(1000))
    assert numbers(history(list(range(900)), most=None)) == list(range(1000))


def test_beyond_that_so_many_ended_ones_are_shown_and_every_running_one() -> None:
    shown = history(list(range(900)))
    ended = numbers(shown, TrialState.COMPLETE, TrialState.PRUNED)
    assert MOST - 25 <= len(ended) <= MOST
    assert numbers(shown, TrialState.RUNNING) == list(range(900, 1000))
    assert numbers(shown) == sorted([*ended, *range(900, 1000)])


@pytest.mark.parametrize("completed", [10, 700])
def test_the_trials_that_tpe_calls_good_are_among_them(completed: int) -> None:
    """Completed ones by value, then pruned ones that came further, ties by number."""
    ends = [n for n in range(900) if n % 4 == 0 or n < completed * 4 // 3]
    trials = history(ends, most=None).get_all_trials(0, deepcopy=False)
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    complete.sort(key=lambda t: (-(t.value or 0.0), t.number))
    pruned.sort(key=lambda t: (-max(t.intermediate_values), -(t.value or 0.0), t.number))
    good = {trial.number for trial in (*complete, *pruned)[:25]}
    assert good <= set(numbers(history(ends, most=250)))


def test_the_others_are_spread_evenly_over_all_that_ended() -> None:
    ended = numbers(history(list(range(1000))))
    for quarter in range(4):
        inside = [n for n in ended if 250 * quarter <= n < 250 * (quarter + 1)]
        assert len(inside) == pytest.approx(MOST / 4, abs=10)


def test_what_is_shown_does_not_depend_on_the_order_of_the_ends() -> None:
    in_order, reversed_order = list(range(900)), list(range(899, -1, -1))
    assert numbers(history(in_order)) == numbers(history(reversed_order))


def test_a_sampler_rebuilt_beyond_that_goes_on_as_if_nothing_had_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.control.sampler._MOST_SHOWN", 30)
    made_by = experiment("tpe")
    whole = propose(Sampler(made_by), range(60))
    rebuilt = Sampler(made_by)
    for number in range(55):
        begin(rebuilt, number, whole[number])
        if number >= 2:
            rebuilt.tell(ended(number - 2), worst=0.0)
    assert propose(rebuilt, range(55, 60)) == whole[55:]
