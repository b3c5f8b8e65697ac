"""Syne Tune's ASHA and BOHB as contenders, where it is installed (tried with 0.16)."""

from __future__ import annotations

import itertools
import random
from datetime import datetime
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from benchmarks.efficiency.cluster import Contender, Job
from benchmarks.efficiency.landscape import Landscape
from spaces.parameters import Params
from spaces.space import SearchSpace


class SyneTune(Contender):
    """``ASHA`` or ``BOHB`` of ``syne_tune.optimizer.baselines``, factor 3.

    Syne Tune knows no conditions: it proposes every parameter, and those that do not apply are left
    out of what is trained.

    Args:
        name: of the baseline.
        landscape: what is searched.
        seed: of the search.
    """

    def __init__(self, name: str, landscape: Landscape, seed: int) -> None:
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer import baselines

        self._trial = Trial
        self._space = landscape.experiment.search_space
        random.seed(seed)
        np.random.seed(seed)
        self._scheduler = getattr(baselines, name)(
            config_space={n: _domain(d) for n, d in self._space.distributions.items()},
            metric="value",
            do_minimize=False,
            time_attr="epoch",
            max_t=landscape.epochs,
            random_seed=seed,
        )
        self._numbers = itertools.count()
        self._trials: dict[int, tuple[Any, Params]] = {}
        self._values: dict[int, float] = {}

    def ask(self) -> Job | None:
        number = next(self._numbers)
        trial = self._trial(number, self._scheduler.suggest().config, datetime.now())
        self._scheduler.on_trial_add(trial)
        params = applying(self._space, trial.config)
        self._trials[number] = trial, params
        return Job(number, params)

    def report(self, trial: int, epoch: int, value: float) -> bool:
        self._values[trial] = max(value, self._values.get(trial, value))
        result = {"value": value, "epoch": epoch}
        return self._scheduler.on_trial_result(self._trials[trial][0], result) == "CONTINUE"

    def chosen(self) -> Params:
        """The highest value at any epoch, as Syne Tune's ``best_config`` means it."""
        return self._trials[max(self._values, key=lambda n: self._values[n])][1]


def applying(space: SearchSpace, params: Params) -> Params:
    """Those parameters whose conditions hold."""
    kept: Params = {}
    for name in space.order:
        when = space.parameters[name].when or {}
        if all(kept.get(other) in values for other, values in when.items()):
            kept[name] = params[name]
    return kept


def _domain(distribution: BaseDistribution) -> Any:
    from syne_tune.config_space import choice, loguniform, uniform

    if isinstance(distribution, CategoricalDistribution):
        return choice(list(distribution.choices))
    make = loguniform if distribution.log else uniform
    return make(distribution.low, distribution.high)
