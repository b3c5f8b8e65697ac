"""Trials that don't report any more."""

from __future__ import annotations

from search.control.hung_trials import HungTrials, Silence


def looked(silences: HungTrials, seconds: range) -> list[Silence]:
    """What is found by looking every second."""
    return [silence for now in seconds for silence in silences.look(float(now))]


def test_a_trial_is_told_once_after_several_times_its_longest_epoch() -> None:
    silences = HungTrials()
    silences.begin(7)
    assert looked(silences, range(21)) == []
    silences.hear(7)  # after 20 s
    assert looked(silences, range(21, 400)) == [Silence(7, 101.0, 20.0)]
    silences.hear(7)
    assert looked(silences, range(400, 500)) == []


def test_short_epochs_are_given_a_minute() -> None:
    silences = HungTrials()
    silences.begin(0)
    looked(silences, range(2))
    silences.hear(0)
    assert looked(silences, range(2, 200)) == [Silence(0, 61.0, 1.0)]


def test_a_first_epoch_is_measured_by_those_of_other_trials() -> None:
    silences = HungTrials()
    silences.begin(0)
    assert looked(silences, range(1000)) == []  # nobody knows how long an epoch takes
    silences.forget(0)
    silences.begin(1)
    looked(silences, range(1000, 1030))
    silences.hear(1)
    silences.forget(1)
    silences.begin(2)
    assert looked(silences, range(1030, 1300)) == [Silence(2, 151.0, 30.0)]


def test_an_ended_trial_is_not_waited_for() -> None:
    silences = HungTrials()
    silences.begin(0)
    looked(silences, range(3))
    silences.hear(0)
    silences.forget(0)
    assert looked(silences, range(3, 500)) == []


def test_a_driver_that_was_busy_itself_blames_nobody() -> None:
    silences = HungTrials()
    silences.begin(0)
    looked(silences, range(3))
    silences.hear(0)
    assert silences.look(10_000.0) == silences.look(20_000.0) == []
