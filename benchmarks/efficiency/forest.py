"""A landscape that is not a Gaussian process, as Shoal's own model is one."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.efficiency.landscape import (
    Array,
    Modelled,
    logit,
    squeezed,
    stretched,
    table_of,
)

TREES = 100


class Forest(Modelled):
    """The mean of randomized trees, fitted to the whole curves of a table."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._trees = _fitted(name)

    def _logits(self, features: Array) -> Array:
        return stretched(self._trees.predict(features), self._medians)


@cache
def _fitted(name: str) -> ExtraTreesRegressor:
    table = table_of(name)
    logits = logit(table.curves)
    curves = squeezed(logits, np.median(logits, axis=0))
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0)
    return trees.fit(table.features, curves)
