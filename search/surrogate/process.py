"""A Gaussian process over configurations and stages: what is known of values that were not seen.

A stage is an epoch at which trials are compared; the last one is the last epoch. The value of a
configuration x at stage s, of trial t, is modelled as

    level(s) + shape(x, s) + luck(t, s)

three independent Gaussian processes. ``level`` is a random walk over the stages. ``shape`` has a
Matérn 5/2 kernel over configurations with a length for each parameter, times a strength for each
stage and a correlation between stages that falls with their distance. ``luck``, what another seed
would change, is independent between trials and correlated between stages likewise. So what is seen
at a stage says something of all later ones, as much as this run's data show.
(Multi-task Gaussian processes: Swersky et al., NeurIPS 2013; freeze-thaw: arXiv 1406.3896.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from search.surrogate.points import Array, Points

Places = npt.NDArray[np.int64]

_NOISE = 1e-4
_ITERATIONS = 30
_WIDEST = 3.0  # standard deviations of the prior, within which a number of the kernel is sought


class Seen(NamedTuple):
    """Values that were seen: (n, parameters) points, and for each its stage, trial and value."""

    points: Array
    stages: Places
    trials: Places
    values: Array


@dataclass(frozen=True)
class Kernel:
    """The numbers of the process, as the logarithms and logits that are fitted.

    In this order: the length of each parameter, the strength of each stage, the correlation of
    neighbouring stages, and the strengths and the correlation of luck.
    """

    numbers: Array
    parameters: int

    @property
    def stages(self) -> int:
        return (len(self.numbers) - self.parameters) // 2 - 1

    @property
    def weights(self) -> Array:
        """(parameters,): of squared differences."""
        return np.exp(-2 * self.numbers[: self.parameters])

    def between_stages(self) -> tuple[Array, Array]:
        """The covariances (stages, stages) of shape and of luck."""
        shape, luck = np.split(self.numbers[self.parameters :], 2)
        return _covariance(shape), _covariance(luck)

    @property
    def level(self) -> Array:
        """(stages, stages): the covariances of the random walk."""
        steps = np.arange(self.stages)
        return 1.0 + np.minimum.outer(steps, steps)


def usual_kernel(parameters: int, stages: int) -> Kernel:
    """The middle of the prior."""
    length = math.log(0.5 * math.sqrt(max(parameters, 1)))
    shape, luck = [*[0.0] * stages, 1.5], [*[math.log(0.3)] * stages, 0.5]
    return Kernel(np.array([*[length] * parameters, *shape, *luck]), parameters)


def fit(seen: Seen, points: Points, stages: int) -> Kernel:
    """The kernel that explains best what was seen: its maximum a posteriori, by gradients."""
    usual = usual_kernel(len(points.names), stages)
    widths = np.array([*[1.0] * usual.parameters, *[0.5] * stages, 1.0, *[0.7] * stages, 1.0])
    objective = Objective(seen, points, usual, widths)
    found = minimize(
        objective,
        usual.numbers,
        jac=True,
        method="L-BFGS-B",
        bounds=list(
            zip(usual.numbers - _WIDEST * widths, usual.numbers + _WIDEST * widths, strict=True)
        ),
        options={"maxiter": _ITERATIONS},
    )
    return Kernel(found.x, usual.parameters)


class Objective:
    """The negative logarithm of the posterior density of a kernel's numbers, and its gradient."""

    def __init__(self, seen: Seen, points: Points, usual: Kernel, widths: Array) -> None:
        self._seen, self._usual, self._widths = seen, usual, widths
        count = len(seen.values)
        self._squares = points.distances(seen.points, seen.points).reshape(-1, count * count)
        self._of_one_trial = (seen.trials[:, None] == seen.trials[None]).astype(float)
        self._at = np.eye(usual.stages)[seen.stages]  # (n, stages)
        self._fixed = usual.level[np.ix_(seen.stages, seen.stages)] + _NOISE * np.eye(count)

    def __call__(self, numbers: Array) -> tuple[float, Array]:
        kernel = Kernel(numbers, self._usual.parameters)
        values, pairs = self._seen.values, np.ix_(self._seen.stages, self._seen.stages)
        shape, luck = kernel.between_stages()
        squares = (kernel.weights @ self._squares).reshape(len(values), -1)
        alike, slope = _matern(squares), _matern_slope(squares)
        covariance = shape[pairs] * alike + luck[pairs] * self._of_one_trial + self._fixed
        factor = cholesky(covariance, lower=True)
        inverse = cho_solve((factor, True), np.eye(len(values)))
        explained = inverse @ values
        away = (numbers - self._usual.numbers) / self._widths
        cost = 0.5 * values @ explained + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        by_entry = 0.5 * (inverse - np.outer(explained, explained))
        by_length = self._squares @ (by_entry * shape[pairs] * slope).ravel()
        by_shape = self._at.T @ (by_entry * alike) @ self._at
        by_luck = self._at.T @ (by_entry * self._of_one_trial) @ self._at
        shape_numbers, luck_numbers = np.split(numbers[kernel.parameters :], 2)
        gradient = np.concatenate(
            [
                -2 * kernel.weights * by_length,
                _through_covariance(shape_numbers, by_shape),
                _through_covariance(luck_numbers, by_luck),
            ]
        )
        return float(cost), gradient + away / self._widths


class View(NamedTuple):
    """Some points as a posterior sees them: what it expects of each at the last stage.

    ``alike``: (seen, points), what was seen and they have in common; ``solved``: (seen, points),
    their covariances with it, by its factor; ``means``: (points,).
    """

    points: Array
    alike: Array
    solved: Array
    means: Array

    def of(self, chosen: Places) -> View:
        """Some of them."""
        return View(
            self.points[chosen], self.alike[:, chosen], self.solved[:, chosen], self.means[chosen]
        )


class Posterior:
    """The process, given what was seen, and given that some more will be seen.

    Args:
        points: of the space.
        kernel: of the process.
        seen: what was seen.
        pending: what will be, by trials that run; its values are not looked at.
    """

    def __init__(self, points: Points, kernel: Kernel, seen: Seen, pending: Seen) -> None:
        self._points, self._kernel = points, kernel
        self._shape, self._luck = kernel.between_stages()
        self._level = kernel.level
        self._at = Seen(*(np.concatenate(pair) for pair in zip(seen, pending, strict=True)))
        covariance = self.covariance(self._at, self._at) + _NOISE * np.eye(len(self._at.values))
        self._factor = cholesky(covariance, lower=True)
        self._count = len(seen.values)
        known = self._factor[: self._count, : self._count]
        self._explained = cho_solve((known, True), seen.values)

    def means(self, points: Array) -> Array:
        """What configurations are worth at the last stage, as far as is known."""
        return self._means(self._final_covariance(self._alike(self._at.points, points)))

    def view(self, points: Array) -> View:
        """Some points, with all that is asked of them more than once."""
        alike = self._alike(self._at.points, points)
        covariance = self._final_covariance(alike)
        return View(points, alike, self._solve(covariance), self._means(covariance))

    def spreads(self, view: View) -> Array:
        """The standard deviations of what some points are worth at the last stage."""
        prior = self._shape[-1, -1] + self._level[-1, -1]
        spread: Array = np.sqrt(np.maximum(prior - (view.solved**2).sum(axis=0), _NOISE))
        return spread

    def moves(self, view: View, trials: Places, others: View) -> tuple[Array, Array]:
        """By how much what is seen at one of some points would move means at the last stage.

        Args:
            view: of the points where something may be seen, at any stage.
            trials: of each of them; -1 where it would be a new one.
            others: points whose means are looked at, too.

        Returns:
            For a value that is one standard deviation above what is expected: of the point's own
            mean (stages, points), and of the others' (stages, others, points).
        """
        of_one_trial = self._at.trials[:, None] == trials[None]
        alike = self._alike(others.points, view.points)
        own = np.empty((self._kernel.stages, len(trials)))
        of_others = np.empty((self._kernel.stages, *alike.shape))
        for stage in range(self._kernel.stages):
            at_stage = self._solve(
                self._shape[self._at.stages, stage, None] * view.alike
                + self._luck[self._at.stages, stage, None] * of_one_trial
                + self._level[self._at.stages, stage, None]
            )
            shape, level = self._shape[-1, stage], self._level[-1, stage]
            variance = self._shape[stage, stage] + self._luck[stage, stage]
            variance += self._level[stage, stage]
            spread = np.sqrt(np.maximum(variance - (at_stage**2).sum(axis=0), _NOISE))
            own[stage] = (shape + level - (view.solved * at_stage).sum(axis=0)) / spread
            of_others[stage] = (shape * alike + level - others.solved.T @ at_stage) / spread
        return own, of_others

    def _means(self, covariance: Array) -> Array:
        means: Array = covariance[: self._count].T @ self._explained
        return means

    def _final_covariance(self, alike: Array) -> Array:
        """(seen, points): of what was seen with the last stage of points."""
        stages = self._at.stages
        covariance: Array = self._shape[stages, -1, None] * alike + self._level[stages, -1, None]
        return covariance

    def _solve(self, covariance: Array) -> Array:
        solved: Array = solve_triangular(self._factor, covariance, lower=True, check_finite=False)
        return solved

    def _alike(self, points: Array, others: Array) -> Array:
        return _matern(self._points.weighted_distances(points, others, self._kernel.weights))

    def covariance(self, some: Seen, others: Seen) -> Array:
        """What the process says of values before any is seen, noise left out."""
        pairs = np.ix_(some.stages, others.stages)
        of_one_trial = some.trials[:, None] == others.trials[None]
        alike = self._alike(some.points, others.points)
        covariance: Array = (
            self._shape[pairs] * alike + self._luck[pairs] * of_one_trial + self._level[pairs]
        )
        return covariance


def _covariance(numbers: Array) -> Array:
    """Between stages: (log strength of each, logit of the correlation of neighbours)."""
    strengths, correlation = np.exp(numbers[:-1]), 1 / (1 + math.exp(-numbers[-1]))
    steps = np.arange(len(strengths))
    covariance: Array = np.outer(strengths, strengths) * correlation ** np.abs(
        np.subtract.outer(steps, steps)
    )
    return covariance


def _through_covariance(numbers: Array, by_entry: Array) -> Array:
    """The gradient by a covariance's numbers, from that by its entries."""
    step = 1e-5
    gradient = np.empty_like(numbers)
    for place, offset in enumerate(step * np.eye(len(numbers))):
        slope = (_covariance(numbers + offset) - _covariance(numbers - offset)) / (2 * step)
        gradient[place] = (by_entry * slope).sum()
    return gradient


def _matern(squares: Array) -> Array:
    scaled = np.sqrt(5 * squares)
    alike = np.exp(-scaled)
    scaled += scaled**2 / 3 + 1
    alike *= scaled
    return alike


def _matern_slope(squares: Array) -> Array:
    """By the squared distance."""
    scaled = np.sqrt(5 * squares)
    slope: Array = -(5 / 6) * (1 + scaled) * np.exp(-scaled)
    return slope
