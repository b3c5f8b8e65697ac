"""Learning curves of any configuration, from a table of real ones: by a model, or by the nearest.

``Recorded`` answers with the curve of the nearest configuration of the table. ``Modelled`` answers
with a smooth function of the configuration, plus the noise of a real training: Gaussian processes
on the principal components of the table's curves, and how a real curve differs from the median of
its configuration under three seeds. Both are on logits; below the median of their epoch these are
compressed, since a smooth function that must follow a cliff overshoots beside it.
"""

from __future__ import annotations

import gzip
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

from search.surrogate.points import points_of
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.parameters import Params
from spaces.seeds import derive_seed

Array = npt.NDArray[np.float64]
Predict = Callable[[Array], Array]  # (configurations, features) to (configurations, epochs)

HERE = Path(__file__).resolve().parent
COMPONENTS = 4
ROUNDS, PARENTS = 60, 20  # by which the best is sought
_SPREAD_OF_THREE = 1.13  # of normal values, over that of their differences to the median of three
LOWEST, HIGHEST = 0.005, 0.999  # accuracies, between which a logit is finite


class Table:
    """A table of ``make_tables.py``.

    Attributes:
        experiment: its space, metric and longest training.
        params: of its configurations.
        curves: (configurations, epochs); where a training had diverged, its lowest value.
        noise: (repeated, seeds, epochs), logits: by how much curves of a configuration differ from
            their median, stretched to the spread of normal values: so a training that failed is no
            luck of another one.
        places: (repeated,): the median last values of these configurations.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.experiment: Experiment = load_experiment(HERE / "spaces" / f"{name}.yaml")
        with gzip.open(HERE / "tables" / f"{name}.json.gz") as file:
            content = json.load(file)
        if content["space"] != self.experiment.plain()["space"]:
            raise ValueError(f"tables/{name}.json.gz is of another space than spaces/{name}.yaml")
        self.params: list[Params] = content["params"]
        self.curves = np.array([_filled(curve) for curve in content["curves"]])
        groups: dict[int, list[Array]] = {}
        for number, curve in content["repeats"]:
            groups.setdefault(number, [self.curves[number]]).append(np.array(_filled(curve)))
        runs = logit(np.array(list(groups.values())))
        medians = np.median(runs, axis=1, keepdims=True)
        self.noise = _SPREAD_OF_THREE * (runs - medians)
        self.places = expit(medians[:, 0, -1])
        self.distributions = self.experiment.search_space.distributions

    @cached_property
    def medians(self) -> Array:
        """(epochs,): of the logits of all curves."""
        return np.median(logit(self.curves), axis=0)

    @property
    def squeezed(self) -> Array:
        """(configurations, epochs): logits; below the median, its distance becomes its log1p."""
        logits = logit(self.curves)
        away = np.maximum(self.medians - logits, 0.0)
        return np.where(logits < self.medians, self.medians - np.log1p(away), logits)

    def stretched(self, values: Array) -> Array:
        """What ``squeezed`` gives, back as logits."""
        away = np.expm1(np.clip(self.medians - values, 0, 20))
        return np.where(values < self.medians, self.medians - away, values)

    @property
    def features(self) -> Array:
        """(configurations, features) of the whole table."""
        return np.array([self.encode(params) for params in self.params])

    def encode(self, params: Params) -> Array:
        """A configuration as numbers: ranges in [0, 1], a choice as one of n; off is 0.5."""
        parts = [unit(d, params.get(name)) for name, d in self.distributions.items()]
        return np.concatenate(parts)


class Landscape(ABC):
    """What a configuration's training would report, and what it is worth.

    Args:
        name: of a table.
    """

    def __init__(self, name: str) -> None:
        self.table = table_of(name)
        self.experiment = self.table.experiment
        self.epochs = self.experiment.scheduler.max_epochs

    @abstractmethod
    def curve(self, params: Params, seed: int) -> Sequence[float]:
        """The metric after each epoch of one training."""

    @abstractmethod
    def worth(self, params: Params) -> float:
        """The expected metric after the last epoch."""

    @property
    @abstractmethod
    def best(self) -> float:
        """The highest worth that is known."""


class Recorded(Landscape):
    """The real curve of the nearest configuration; its last value is what it is worth.

    So the best is the luckiest of the table's trainings, and a searcher sees its luck: what
    tries many configurations is favoured.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._features = self.table.features

    def _nearest(self, params: Params) -> int:
        away = ((self._features - self.table.encode(params)) ** 2).sum(axis=1)
        return int(np.argmin(away))

    def curve(self, params: Params, seed: int) -> list[float]:
        return self.table.curves[self._nearest(params)].tolist()

    def worth(self, params: Params) -> float:
        return float(self.table.curves[self._nearest(params), -1])

    @property
    def best(self) -> float:
        return float(self.table.curves[:, -1].max())


class Modelled(Landscape):
    """A smooth function of the configuration, plus the noise of real trainings."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._predict = self._fitted()

    def _fitted(self) -> Predict:
        return smooth(self.table.name)

    def _logits(self, features: Array) -> Array:
        """(configurations, epochs), of (configurations, features)."""
        return self.table.stretched(self._predict(features))

    def expected(self, params: Params) -> Array:
        """(epochs,): logits of the curve without noise."""
        curve: Array = self._logits(self.table.encode(params)[None])[0]
        return curve

    def curve(self, params: Params, seed: int) -> list[float]:
        random = np.random.default_rng(derive_seed(seed, "noise", seed))
        logits = self.expected(params)
        # noise of a configuration about as good: the best ones are the most reproducible
        away = np.abs(self.table.places - expit(logits[-1]))
        place = random.choice(np.argsort(away)[: len(away) // 4])
        return expit(logits + random.choice(self.table.noise[place])).tolist()

    def worth(self, params: Params) -> float:
        return float(expit(self.expected(params)[-1]))

    @cached_property
    def best(self) -> float:
        """Of the table, and of points drawn near the best so far in many rounds."""
        points, random = points_of(self.experiment.search_space), np.random.default_rng(0)
        rows = np.array([points.row(params) for params in self.table.params])
        worths = np.empty(0)
        for _ in range(ROUNDS):
            features = [self.table.encode(points.params(row)) for row in rows[len(worths) :]]
            worths = np.concatenate([worths, self._logits(np.array(features))[:, -1]])
            best = np.argsort(-worths, kind="stable")[:PARENTS]
            near = points.near(rows[np.repeat(best, 10)], random)
            rows, worths = np.vstack([rows[best], near]), worths[best]
        return float(expit(worths[0]))


@cache
def table_of(name: str) -> Table:
    return Table(name)


@cache
def smooth(name: str) -> Predict:
    """The squeezed curves by a Gaussian process for the score on each of their principal axes.

    The kernels' numbers are kept beside the table: finding them takes minutes.
    """
    table = table_of(name)
    features, curves = table.features, table.squeezed
    mean = curves.mean(axis=0)
    _, _, axes = np.linalg.svd(curves - mean, full_matrices=False)
    axes = axes[:COMPONENTS]
    scores = (curves - mean) @ axes.T
    kept = HERE / "tables" / f"{name}.kernels.json"
    if not kept.exists():
        found = [_kernel_of(features, scores[:, k]) for k in range(COMPONENTS)]
        kept.write_text(json.dumps([kernel.theta.round(4).tolist() for kernel in found]) + "\n")
    kernels = [_kernel(features).clone_with_theta(theta) for theta in json.loads(kept.read_text())]
    processes = [GaussianProcessRegressor(k, optimizer=None, normalize_y=True) for k in kernels]
    for k, process in enumerate(processes):
        process.fit(features, scores[:, k])
    return lambda features: mean + np.array([p.predict(features) for p in processes]).T @ axes


def _kernel(features: Array) -> Kernel:
    lengths = np.ones(features.shape[1])
    return ConstantKernel(1.0) * Matern(lengths, (0.2, 10.0), nu=2.5) + WhiteKernel(0.1)


def _kernel_of(features: Array, scores: Array) -> Kernel:
    """The kernel that explains best how half of the table's configurations score."""
    half = np.random.default_rng(0).permutation(len(features))[: len(features) // 2]
    process = GaussianProcessRegressor(_kernel(features), normalize_y=True)
    return process.fit(features[half], scores[half]).kernel_


def unit(distribution: BaseDistribution, value: Any) -> Array:
    """A value as a number in [0, 1], a choice as one of n; off is 0.5, or none of n."""
    if isinstance(distribution, CategoricalDistribution):
        one = np.zeros(len(distribution.choices))
        if value is not None:
            one[int(distribution.to_internal_repr(value))] = math.sqrt(0.5)
        return one
    if value is None:
        return np.array([0.5])
    low, high = distribution.low, distribution.high
    if distribution.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return np.array([(value - low) / (high - low)])


def _filled(curve: list[float | None]) -> list[float]:
    """A curve without gaps: what has diverged stays at the worst it was."""
    known = [value for value in curve if value is not None]
    lowest = min(known, default=LOWEST)
    return [lowest if value is None else value for value in curve]


def logit(values: Array) -> Array:
    clipped = np.clip(values, LOWEST, HIGHEST)
    return np.log(clipped / (1 - clipped))


def expit(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))
