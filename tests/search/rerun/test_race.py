"""The race of ``shoal confirm``: its rule, and what 250 made searches say of its figures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.record.events import Job, RaceRule
from analysis.stats.intervals import difference, estimate
from analysis.stats.score_range import Bounds
from benchmarks.race import compare
from search.rerun.race import Race
from spaces.metric import Metric

ACCURACY = Metric(name="val_accuracy", mode="max")
LOSS = Metric(name="val_loss", mode="min")


def race(
    candidates: int = 3,
    seeds: int = 5,
    metric: Metric = ACCURACY,
    parameters: bool = False,
    **changes: Any,
) -> Race:
    """A race of trials 1, 2, … against the baseline, trial 0; later ones have fewer parameters."""
    numbers = list(range(1, candidates + 1))
    counts = {number: 1000 - number for number in numbers} if parameters else {}
    return Race(numbers, 0, seeds, metric, counts, **changes)


def run(
    race: Race, score: Callable[[Job], float], workers: int = 1, order: random.Random | None = None
) -> dict[Job, float]:
    """Play a race: so many trainings side by side, which end in any order."""
    begun: list[Job] = []
    running: list[Job] = []
    ended: dict[Job, float] = {}
    while True:
        while len(running) < workers and (job := race.next(begun, ended)) is not None:
            begun.append(job)
            running.append(job)
        if not running:
            return ended
        job = running.pop(0 if order is None else order.randrange(len(running)))
        ended[job] = score(job)


def wobble(job: Job) -> float:
    """Noise within ±0.01, different for every training."""
    return 0.01 * math.sin(1.0 + 7.3 * job.trial + 3.1 * job.index + 5.7 * len(job.purpose))


def jobs(ended: dict[Job, float], trial: int, purpose: str) -> list[float]:
    return [score for job, score in ended.items() if (job.trial, job.purpose) == (trial, purpose)]


def test_the_best_mean_wins_and_is_measured_under_as_many_other_seeds() -> None:
    ended = run(race(), lambda job: [0.5, 0.7, 0.9, 0.8][job.trial] + wobble(job))
    assert race().winner(ended) == 2
    assert len(jobs(ended, 2, "measure")) == len(jobs(ended, 0, "measure")) == 5
    assert not jobs(ended, 1, "measure")
    assert not jobs(ended, 0, "choose")


def test_of_a_loss_the_lowest_wins() -> None:
    made = race(metric=LOSS)
    assert made.winner(run(made, lambda job: [0.5, 0.7, 0.2, 0.8][job.trial] + wobble(job))) == 2


def test_a_configuration_that_can_no_longer_win_gets_no_more_seeds() -> None:
    ended = run(race(seeds=10), lambda job: [0.5, 0.1, 0.9, 0.895][job.trial] + wobble(job))
    assert len(jobs(ended, 1, "choose")) == 2  # the fewest that have a spread
    assert len(jobs(ended, 2, "choose")) > 2
    assert len(jobs(ended, 3, "choose")) > 2


def test_with_one_left_there_is_nothing_more_to_choose() -> None:
    ended = run(race(2, seeds=10), lambda job: [0.5, 0.1, 0.9][job.trial] + wobble(job))
    assert len(jobs(ended, 2, "choose")) <= 2
    assert len(jobs(ended, 2, "measure")) == 10


def close(job: Job) -> float:
    """Two candidates whose difference is well within noise; the first is a little better."""
    return 0.8 + 0.001 * (job.trial == 1) + wobble(job)


@pytest.mark.parametrize("rule", ["bounds", "posterior"])
def test_the_best_mean_wins_unless_small_models_are_preferred(rule: RaceRule) -> None:
    made = race(2, parameters=True, rule=rule)
    ended = run(made, close)
    assert np.mean(jobs(ended, 1, "choose")) > np.mean(jobs(ended, 2, "choose"))
    assert made.winner(ended) == 1
    preferring = replace(made, prefer_small=True)
    assert preferring.winner(run(preferring, close)) == 2
    unknown = replace(preferring, parameters={})  # the sizes of the user's own models
    assert unknown.winner(run(unknown, close)) == 1


def test_the_score_of_the_search_counts_as_one_more() -> None:
    made = race(2, seeds=2, searched={1: 0.7, 2: 0.85})
    ended = run(made, lambda job: 0.8 + 0.001 * (job.trial == 1) + wobble(job))
    assert replace(made, searched={}).winner(ended) == 1
    assert made.winner(ended) == 2


def test_a_candidate_that_collapses_under_a_seed_is_out() -> None:
    bounds = Bounds(low=0.0, high=1.0, unlearned=0.1)
    made = race(bounds=bounds)
    scores = {Job(trial, "choose", index): 0.85 for trial in (1, 2, 3) for index in range(5)}
    scores = {job: score + 0.01 * (job.trial == 3) + wobble(job) for job, score in scores.items()}
    assert made.winner(scores) == 3
    assert made.winner({**scores, Job(3, "choose", 1): 0.1}) in (1, 2)


def test_where_a_seed_of_each_collapses_the_best_of_the_others_wins() -> None:
    made = race(2, seeds=3, bounds=Bounds(low=0.0, high=1.0, unlearned=0.1))
    scores = {1: [0.92, 0.91, 0.1], 2: [0.90, 0.89, 0.12]}
    ended = {Job(t, "choose", i): score for t in scores for i, score in enumerate(scores[t])}
    assert made.winner(ended) == 1


def test_a_race_of_an_earlier_version_drops_by_bounds() -> None:
    ended = run(
        race(rule="bounds", seeds=10),
        lambda job: [0.5, 0.1, 0.9, 0.895][job.trial] + wobble(job),
    )
    assert len(jobs(ended, 1, "choose")) == 2
    assert len(jobs(ended, 2, "choose")) == len(jobs(ended, 3, "choose")) == 10


def test_fewer_trainings_choose_as_well_as_more_did_before() -> None:
    """``benchmarks/race.py`` has the figures of 1,000 searches in each landscape."""
    draw = np.random.default_rng(0)
    rows = [compare(draw, 0.01, draw.uniform(0.003, 0.006)) for _ in range(100)]
    now, before = (
        np.mean([row[rule] for row in rows], axis=0)
        for rule in ("posterior", "bounds, prefer_small (earlier)")
    )
    assert now[0] < 0.75 * before[0]  # trainings
    assert now[2] < before[2]  # regret


def test_a_candidate_that_diverges_under_any_seed_is_out() -> None:
    ended = run(
        race(), lambda job: math.nan if job == Job(2, "choose", 1) else job.trial / 10 + wobble(job)
    )
    assert race().winner(ended) == 3


def test_where_all_are_lost_nobody_wins_and_the_baseline_is_measured_still() -> None:
    lost = run(race(), lambda job: math.nan if job.purpose == "choose" else wobble(job), workers=3)
    assert race().winner(lost) is None
    assert len(jobs(lost, 0, "measure")) == 5


def test_one_candidate_is_measured_at_once() -> None:
    ended = run(race(1), wobble)
    assert {job.purpose for job in ended} == {"measure"}
    assert race(1).winner(ended) == 1


def test_scores_without_any_noise_choose_the_better_one() -> None:
    made = race(2, parameters=True)
    assert made.winner(run(made, lambda job: [0.5, 0.9, 0.8][job.trial])) == 1


@settings(max_examples=30)
@given(st.integers(1, 6), st.randoms(use_true_random=False), st.integers(0, 5))
def test_who_wins_does_not_depend_on_which_training_ends_first(
    workers: int, order: random.Random, lost: int
) -> None:
    made = race(4, seeds=4)

    def score(job: Job) -> float:
        fails = job.purpose == "choose" and (7 * job.trial + 3 * job.index) % 6 == lost
        return math.nan if fails else 0.8 + 0.004 * job.trial + wobble(job)

    in_turn = run(made, score)
    mixed = run(made, score, workers, order)
    assert made.winner(mixed) == made.winner(in_turn)
    winner = made.winner(in_turn)
    if winner is not None:
        assert sorted(jobs(mixed, winner, "measure")) == sorted(jobs(in_turn, winner, "measure"))


@given(
    st.integers(1, 4),
    st.integers(2, 4),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_any_race_ends_measured_within_its_bound_whatever_the_order(
    candidates: int, seeds: int, workers: int, order: random.Random
) -> None:
    made = race(candidates, seeds, parameters=True, prefer_small=workers % 2 == 0)
    ended = run(made, lambda job: order.choice([math.nan, order.random()]), workers, order)
    winner = made.winner(ended)
    assert len(ended) <= made.most_trainings
    assert all(made.wants(job) for job in ended)
    assert len(jobs(ended, 0, "measure")) == seeds
    assert {job.trial for job in ended if job.purpose == "measure"} == {0, winner} - {None}
    if winner is not None:
        assert len(jobs(ended, winner, "measure")) == seeds


def test_over_250_searches_intervals_cover_the_truth_and_the_winners_score_is_unbiased() -> None:
    """30 configurations, searched once each with noise; the best 5 are confirmed with 5 seeds."""
    draw = np.random.default_rng(0)
    found = [_made_search(draw) for _ in range(250)]
    covered = sum(search.covered for search in found)
    gains_covered = sum(search.gain_covered for search in found)
    errors, searched_errors, choosing_errors = (
        [search.errors[place] for search in found] for place in range(3)
    )
    assert 0.93 <= covered / 250 <= 0.99
    assert 0.93 <= gains_covered / 250 <= 0.995
    assert abs(np.mean(errors)) < 3 * _standard_error(errors)
    assert np.mean(searched_errors) > 3 * _standard_error(searched_errors)  # the luckiest
    assert np.mean(choosing_errors) > 3 * _standard_error(choosing_errors)  # so these are not told


class MadeSearch(NamedTuple):
    """What a made search came to; errors of the measured, the searched, the choosing score."""

    covered: bool
    gain_covered: bool
    errors: tuple[float, float, float]


def _made_search(draw: np.random.Generator) -> MadeSearch:
    truth = [0.89, *draw.normal(0.9, 0.01, 30).tolist()]  # the first is the baseline
    noise = draw.uniform(0.003, 0.006)
    searched = [mean + draw.normal(0.0, noise) for mean in truth]
    best = sorted(range(1, 31), key=lambda number: -searched[number])[:5]
    made = Race(best, 0, 5, ACCURACY, {}, {number: searched[number] for number in best})
    ended = run(made, lambda job: truth[job.trial] + draw.normal(0.0, noise))
    winner = made.winner(ended)
    assert winner is not None
    measured = estimate(jobs(ended, winner, "measure"))
    gain = difference(jobs(ended, winner, "measure"), jobs(ended, 0, "measure"))
    assert measured is not None
    assert gain is not None
    chosen_by = float(np.mean(jobs(ended, winner, "choose")))
    values = (measured.mean, searched[winner], chosen_by)
    return MadeSearch(
        covered=measured.low <= truth[winner] <= measured.high,
        gain_covered=gain.low <= truth[winner] - truth[0] <= gain.high,
        errors=tuple(value - truth[winner] for value in values),  # type: ignore[arg-type]
    )


def _standard_error(errors: list[float]) -> float:
    return float(np.std(errors)) / math.sqrt(len(errors))
