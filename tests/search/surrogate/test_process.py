from __future__ import annotations

import numpy as np
import pytest

from search.surrogate.points import Array, points_of
from search.surrogate.process import Kernel, Objective, Posterior, Seen, fit, usual_kernel
from tests.support.spaces import space_of

SPACE = {
    "lr": {"low": 1e-4, "high": 1.0, "log": True},
    "activation": ["tanh", "relu"],
    "dropout": {"low": 0.0, "high": 0.5},
}
POINTS = points_of(space_of(SPACE))
NONE = Seen(np.zeros((0, 3)), np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))


def seen(count: int, seed: int = 0, stages: int = 3, noise: float = 0.05) -> Seen:
    """A function of lr alone, at a stage for each; later stages are worth more."""
    random = np.random.default_rng(seed)
    rows = POINTS.random(count, random)
    at = random.integers(0, stages, count)
    values = -8 * (rows[:, 0] - 0.6) ** 2 + 0.3 * at + noise * random.standard_normal(count)
    return Seen(rows, at, np.arange(count), values - values.mean())


def final(posterior: Posterior, points: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of what points are worth at the last stage."""
    view = posterior.view(points)
    assert np.allclose(view.means, posterior.means(points))
    return view.means, posterior.spreads(view)


def test_the_gradient_is_that_of_the_objective() -> None:
    usual = usual_kernel(3, 3)
    objective = Objective(seen(12), POINTS, usual, np.ones(len(usual.numbers)))
    numbers = usual.numbers + 0.3 * np.random.default_rng(1).standard_normal(len(usual.numbers))
    _, gradient = objective(numbers)
    for place, offset in enumerate(1e-5 * np.eye(len(numbers))):
        slope = (objective(numbers + offset)[0] - objective(numbers - offset)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_a_fit_finds_the_parameter_that_matters_and_foretells_what_was_not_seen() -> None:
    known, unknown = seen(60), seen(40, seed=1)
    kernel = fit(known, POINTS, 3)
    lengths = np.exp(kernel.numbers[:3])
    assert lengths[0] < 0.5 * min(lengths[1:])
    mean, spread = final(Posterior(POINTS, kernel, known, NONE), unknown.points)
    truth = -8 * (unknown.points[:, 0] - 0.6) ** 2
    assert np.corrcoef(mean, truth)[0, 1] > 0.95
    assert 0.0 < spread.mean() < 0.5
    usual = Posterior(POINTS, usual_kernel(3, 3), known, NONE).means(unknown.points)
    assert np.corrcoef(usual, truth)[0, 1] > 0.8


def by_hand(known: Seen, at: Seen) -> tuple[Array, Array]:
    """Mean and standard deviation at the last stage, by the rules of the normal distribution."""
    every = Seen(*(np.concatenate(pair) for pair in zip(known, at, strict=True)))
    posterior = Posterior(POINTS, usual_kernel(3, 3), known, NONE)
    covariance = posterior.covariance(every, every)
    count = len(known.values)
    inverse = np.linalg.inv(covariance[:count, :count] + 1e-4 * np.eye(count))
    cross = covariance[count:, :count]
    _, luck = usual_kernel(3, 3).between_stages()
    left = covariance[count:, count:] - luck[-1, -1] * np.eye(len(at.values))
    spread = np.sqrt(np.diag(left - cross @ inverse @ cross.T))
    return cross @ inverse @ known.values, spread


def test_means_and_spreads_are_those_of_the_normal_distribution() -> None:
    known, new = seen(15), seen(5, seed=1)
    at = Seen(new.points, np.full(5, 2), np.arange(100, 105), np.zeros(5))
    mean, spread = final(Posterior(POINTS, usual_kernel(3, 3), known, NONE), new.points)
    assert np.allclose(mean, by_hand(known, at)[0])
    assert np.allclose(spread, by_hand(known, at)[1], atol=1e-3)


def test_the_move_foretold_is_the_one_that_comes() -> None:
    """One standard deviation above what is expected at a stage moves the means by so much."""
    known, other = seen(15), seen(3, seed=2).points
    point = seen(1, seed=1).points
    posterior = Posterior(POINTS, usual_kernel(3, 3), known, NONE)
    own, others = posterior.moves(posterior.view(point), np.array([-1]), posterior.view(other))
    for stage in range(3):
        asked = Seen(point, np.array([stage]), np.array([99]), np.zeros(1))
        grown = Seen(*(np.concatenate(pair) for pair in zip(known, asked, strict=True)))
        covariance = posterior.covariance(grown, grown) + 1e-4 * np.eye(16)
        cross, inverse = covariance[15, :15], np.linalg.inv(covariance[:15, :15])
        expected = cross @ inverse @ known.values
        spread = np.sqrt(covariance[15, 15] - cross @ inverse @ cross)
        grown.values[15] = expected + spread
        moved = Posterior(POINTS, usual_kernel(3, 3), grown, NONE)
        for rows, foretold in ((point, own[stage]), (other, others[stage, :, 0])):
            change = moved.means(rows) - posterior.means(rows)
            assert np.allclose(change, foretold, atol=2e-3)


def test_what_is_pending_narrows_the_spread_and_moves_no_mean() -> None:
    known, new = seen(15), seen(1, seed=1).points
    pending = Seen(new, np.array([0]), np.array([50]), np.zeros(1))
    before = Posterior(POINTS, usual_kernel(3, 3), known, NONE)
    after = Posterior(POINTS, usual_kernel(3, 3), known, pending)
    assert np.allclose(final(before, new)[0], final(after, new)[0])
    far = np.array([[0.0, 0.0, 0.0]])
    assert final(after, new)[1][0] < 0.98 * final(before, new)[1][0]
    assert final(after, far)[1][0] > 0.99 * final(before, far)[1][0]


def test_stages_that_foretell_nothing_are_seen_to() -> None:
    """The correlation between stages is learned: where early values mislead it is low."""
    random = np.random.default_rng(0)
    rows = POINTS.random(40, random)
    good, bad = -8 * (rows[:, 0] - 0.6) ** 2, -8 * (rows[:, 2] - 0.5) ** 2
    found = []
    for last in (good, bad):
        first = Seen(rows, np.zeros(40, dtype=int), np.arange(40), good - good.mean())
        end = Seen(rows[:20], np.ones(20, dtype=int), np.arange(20), (last - last.mean())[:20])
        both = Seen(*(np.concatenate(pair) for pair in zip(first, end, strict=True)))
        kernel = fit(both, POINTS, 2)
        shape, _ = kernel.between_stages()
        found.append(shape[0, 1] / np.sqrt(shape[0, 0] * shape[1, 1]))
    assert found[0] > 0.9 > 0.7 > found[1]


def test_a_space_of_one_parameter_and_one_stage_has_a_process() -> None:
    points = points_of(space_of({"lr": SPACE["lr"]}))
    rows = points.random(10, np.random.default_rng(0))
    known = Seen(rows, np.zeros(10, dtype=int), np.arange(10), rows[:, 0] - 0.5)
    kernel = fit(known, points, 1)
    assert isinstance(kernel, Kernel)
    nothing = Seen(np.zeros((0, 1)), *NONE[1:])
    mean = Posterior(points, kernel, known, nothing).means(rows)
    assert np.corrcoef(mean, known.values)[0, 1] > 0.99
