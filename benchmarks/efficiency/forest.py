"""A landscape that is not a Gaussian process, as Shoal's own model is one."""

from __future__ import annotations

from functools import cache

from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.efficiency.landscape import Modelled, Predict, table_of

TREES = 100


class Forest(Modelled):
    """The mean of randomized trees, fitted to the whole curves of a table."""

    def _fitted(self) -> Predict:
        return trees(self.table.name)


@cache
def trees(name: str) -> Predict:
    table = table_of(name)
    forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0)
    return forest.fit(table.features, table.squeezed).predict
