from __future__ import annotations

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
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


DRAWN = {
    "rate": FloatDistribution(0.1, 10.0, log=True),
    "layers": IntDistribution(1, 9, step=2),
    "norm": CategoricalDistribution((None, "batch")),
}


def test_a_trial_begins_as_when_optuna_sets_one_parameter_after_the_other() -> None:
    params = {"rate": 1, "layers": 3.0, "norm": "batch"}
    ours, optunas = history([], total=1), InMemoryStorage()
    ours.begin(0, params, DRAWN)
    study = optunas.create_new_study([StudyDirection.MAXIMIZE])
    for _ in range(2):
        optunas.create_new_trial(study)
    for name, distribution in DRAWN.items():
        value = distribution.to_internal_repr(params[name])
        optunas.set_trial_param(1, name, value, distribution)
    mine, theirs = ours.get_trial(1), optunas.get_trial(1)
    assert repr(mine.params) == repr(theirs.params)
    assert (mine.distributions, mine.state) == (theirs.distributions, theirs.state)
    assert ours._studies[0].param_distribution == optunas._studies[0].param_distribution


def test_a_parameter_that_has_other_choices_than_before_is_refused_and_no_trial_begins() -> None:
    shown = history([], total=1)
    shown.begin(0, {"norm": "batch"}, {"norm": DRAWN["norm"]})
    with pytest.raises(ValueError, match="dynamic value space"):
        shown.begin(0, {"norm": "layer"}, {"norm": CategoricalDistribution(("layer", "batch"))})
    assert len(numbers(shown)) == 2


def test_equal_distributions_are_kept_once_and_a_new_range_is_kept_beside_them() -> None:
    shown = history([], total=0)
    for high in (10.0, 10.0, 20.0):
        shown.begin(0, {"x": 1.0}, {"x": FloatDistribution(0.0, high)})
    first, second, third = (t.distributions["x"] for t in shown.get_all_trials(0, deepcopy=False))
    assert first is second
    assert third == FloatDistribution(0.0, 20.0)


def test_a_draft_shows_what_was_changed_and_added_in_it() -> None:
    draft = history([0, 1], total=3).draft()
    draft.set_trial_intermediate_value(2, 1, 0.5)
    draft.create_new_trial(0)
    assert numbers(draft) == [0, 1, 2, 3]
    assert draft.get_all_trials(0)[2].intermediate_values == {1: 0.5}


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
