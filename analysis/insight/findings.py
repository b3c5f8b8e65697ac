"""What a run shows, in sentences: only what an interval supports, at one epoch, all else alike.

Where nothing matters, at most 5 in 100 runs get any sentence: each of the three kinds of finding
(level, interaction, failure) has a third of that, divided by the comparisons that it makes. The
interval of a finding is the one that decided it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from analysis.display.numbers import number
from analysis.insight.adjusted import LevelFit, columns_of, fit_levels
from analysis.insight.axes import OTHERS, Axis, Ints, Levels, axes_of, levels_of
from analysis.insight.effects import ALWAYS, most_important, pairs_of
from analysis.insight.evidence import ALPHA, Finding
from analysis.insight.importance import RungImportance
from analysis.insight.observations import Observed, observed_at, shared_epoch
from analysis.insight.screening import screened
from analysis.record.trials import Trials
from analysis.stats.intervals import Interval
from spaces.experiment import Experiment

_FAR_ABOVE = 10  # times the median


class _Compared(NamedTuple):
    """Another level, and by how much the best one is better."""

    other: int
    by: Interval


def findings(
    experiment: Experiment,
    trials: Trials,
    epoch: int | None = None,
    importance: RungImportance | None = None,
) -> list[Finding]:
    """All that can be said of what mattered; often nothing, with few trials.

    Diverged trials have no value and are left out here; ``explain_failures`` is about them. Of more
    than 20 parameters those are looked at that ``screened`` gives.

    Args:
        experiment: of the run.
        trials: of the run.
        epoch: at which values are compared; left out, the one at which all can be
            (``shared_epoch``).
        importance: says which pairs are looked at, as for ``marginal_effects``.

    Raises:
        InputError: when the space is a function of the user's that can't be loaded.
    """
    known = list(trials)
    axes = [axis for axis in axes_of(experiment, known) if not axis.distribution.single()]
    observed = observed_at(experiment, known, epoch or shared_epoch(experiment, known)).finite()
    observed, metric = _tamed(observed, experiment.metric.name)
    kept = screened(axes, observed)
    alpha = ALPHA * len(kept) / max(len(axes), 1)  # those that are left out count as compared, too
    ranked = [axis.name for axis in kept] if importance is None else most_important(importance)
    compared = _Comparisons(metric, observed, {axis.name: axis for axis in kept}, alpha)
    return [*compared.levels(), *compared.interactions(pairs_of(list(compared.axes), ranked))]


def _tamed(observed: Observed, metric: str) -> tuple[Observed, str]:
    """The values, or their logarithms where a few are far above the rest, and how they are called.

    A learning rate that is too high makes some losses thousands of times as large as the others,
    in whose mean nothing else would show.
    """
    values = observed.values
    is_loss = observed.is_lower_better and len(values) > 0 and bool((values > 0).all())
    if not is_loss or values.max() < _FAR_ABOVE * np.median(values):
        return observed, metric
    return dataclasses.replace(observed, values=np.log10(values)), f"log10 of {metric}"


class _Comparisons:
    """The comparisons of one run at one epoch."""

    def __init__(
        self, metric: str, observed: Observed, axes: dict[str, Axis], alpha: float
    ) -> None:
        self.axes = axes
        self._alpha = alpha
        self._metric = metric
        self._observed = observed
        self._sign = -1.0 if observed.is_lower_better else 1.0

    def levels(self) -> list[Finding]:
        """Which level of each parameter does best, or which do worse than the best."""
        fits = {name: self._fit(name) for name in self.axes}
        pairs = sum(
            len(list(itertools.combinations(fit.compared(), 2))) for _, fit in fits.values() if fit
        )
        found = []
        for name, (levels, fit) in fits.items():
            if fit is not None and len(fit.compared()) > 1:
                found += self._of_levels(name, levels, fit, self._alpha / max(pairs, 1))
        return found

    def _fit(self, name: str) -> tuple[Levels, LevelFit | None]:
        levels = levels_of(self.axes[name], self._observed.rows)
        return levels, self._fitted(levels.codes, len(levels.labels), {name})

    def _fitted(self, codes: Ints, count: int, focus: set[str]) -> LevelFit | None:
        """The fit over the rows that have a code, beside all parameters but those in focus."""
        there = np.flatnonzero(codes >= 0)
        rows = [self._observed.rows[place] for place in there]
        others = [axis for name, axis in self.axes.items() if name not in focus]
        columns = columns_of(others, rows, most=len(rows) // 3)
        return fit_levels(self._sign * self._observed.values[there], codes[there], count, columns)

    def _of_levels(self, name: str, levels: Levels, fit: LevelFit, alpha: float) -> list[Finding]:
        ranked = sorted(fit.compared(), key=lambda level: -fit.means[level])
        best = ranked[0]
        beaten = [
            _Compared(level, by)
            for level in ranked[1:]
            if (by := fit.difference(best, level, alpha)).low > 0
        ]
        if not beaten or levels.labels[best] == OTHERS:
            return []
        closest = beaten[0]
        best_label, labels = levels.labels[best], [levels.labels[each.other] for each in beaten]
        if len(beaten) == len(ranked) - 1:
            sentence = (
                f"{name}: {best_label} does best; its {self._metric} is "
                f"{self._by(closest.by)} than with {labels[0]}, the next"
            )
        else:
            several = len(labels) > 1
            sentence = (
                f"{name}: {_listed(labels)} {'do' if several else 'does'} worse than {best_label}, "
                f"whose {self._metric} is {self._by(closest.by)}"
            ) + (f" than that of {labels[0]}, the best of them" if several else "")
        n = int(fit.counts[best] + fit.counts[closest.other])
        return [self._finding("level", sentence, (name,), n, closest.by, alpha)]

    def interactions(self, pairs: Sequence[tuple[str, str]]) -> list[Finding]:
        """Where the order of two levels is reversed by the level of another parameter.

        Half of what may be wrong goes to the pairs that are known to depend on each other, so that
        a look at many others does not hide them.
        """
        found = []
        expected = [pair for pair in pairs if pair in ALWAYS]
        for family in (expected, [pair for pair in pairs if pair not in ALWAYS]):
            ordered = [names for pair in family if (names := self._choice_first(pair))]
            fitted = [each for names in ordered if (each := self._crossed(*names)) is not None]
            comparisons = sum(each.comparisons() for each in fitted)
            alpha = self._alpha / (2 * max(comparisons, 1))
            found += [finding for each in fitted for finding in self._of_pair(each, alpha)]
        return found

    def _choice_first(self, pair: tuple[str, str]) -> tuple[str, str] | None:
        """The pair with a choice as its rows; None for two ranges, whose corners say little."""
        one, other = pair
        if self.axes[one].choices is not None:
            return one, other
        return None if self.axes[other].choices is None else (other, one)

    def _crossed(self, row: str, column: str) -> _Crossed | None:
        rows = levels_of(self.axes[row], self._observed.rows)
        columns = levels_of(self.axes[column], self._observed.rows)
        width = len(columns.labels)
        is_there = (rows.codes >= 0) & (columns.codes >= 0)
        cells = np.where(is_there, rows.codes * width + columns.codes, -1)
        fit = self._fitted(cells, len(rows.labels) * width, {row, column})
        return None if fit is None else _Crossed(rows, columns, fit)

    def _of_pair(self, crossed: _Crossed, alpha: float) -> list[Finding]:
        best = {row: crossed.best(row) for row in range(len(crossed.rows.labels))}
        reversals = []
        for one, other in itertools.combinations(best, 2):
            first, second = best[one], best[other]
            if first is None or second is None or first == second:
                continue
            if {first, second} <= set(crossed.compared(one)) & set(crossed.compared(other)):
                there = crossed.difference(one, first, second, alpha)
                here = crossed.difference(other, second, first, alpha)
                if there.low > 0 and here.low > 0:
                    reversals.append(_Reversal(one, other, first, second, there, here))
        if not reversals:
            return []
        clearest = max(reversals, key=lambda each: min(each.there.low, each.here.low))
        weaker = min(clearest.there, clearest.here, key=lambda by: by.low)
        names = (crossed.rows.axis.name, crossed.columns.axis.name)
        sentence = self._reversed(crossed, clearest, alpha)
        return [self._finding("interaction", sentence, names, crossed.n(clearest), weaker, alpha)]

    def _reversed(self, crossed: _Crossed, found: _Reversal, alpha: float) -> str:
        row, column = crossed.rows.axis.name, crossed.columns.axis.name
        rows, columns = crossed.rows.labels, crossed.columns.labels
        there, here = self._by(found.there), self._by(found.here)
        if crossed.is_best(found.one, found.first, alpha) and crossed.is_best(
            found.other, found.second, alpha
        ):
            return (
                f"{row} {rows[found.one]} does best with {column} {columns[found.first]}, "
                f"{rows[found.other]} with {columns[found.second]} ({self._metric} {there} than "
                f"the other way round, and {here})"
            )
        return (
            f"with {row} {rows[found.one]}, {column} {columns[found.first]} does better than "
            f"{columns[found.second]} ({self._metric} {there}); with {row} {rows[found.other]} it "
            f"is the other way round ({here})"
        )

    def _by(self, by: Interval) -> str:
        """``0.031 (0.012 to 0.05) higher``: by how much something is better."""
        direction = "higher" if self._sign > 0 else "lower"
        by_value, low, high = (number(figure, 3) for figure in by)
        return f"{by_value} ({low} to {high}) {direction}"

    def _finding(
        self,
        kind: Literal["level", "interaction"],
        sentence: str,
        names: tuple[str, ...],
        n: int,
        by: Interval,
        alpha: float,
    ) -> Finding:
        figure = f"by how much {self._metric} is better"
        sentence = f"{sentence} (epoch {self._observed.epoch}, {n} configurations)"
        return Finding(kind, sentence, names, self._observed.epoch, n, figure, *by, alpha)


class _Reversal(NamedTuple):
    """In row ``one`` column ``first`` is better than ``second``, in row ``other`` it is worse."""

    one: int
    other: int
    first: int
    second: int
    there: Interval
    here: Interval


class _Crossed(NamedTuple):
    """The cells of two parameters, fitted together."""

    rows: Levels
    columns: Levels
    fit: LevelFit

    def _cell(self, row: int, column: int) -> int:
        return row * len(self.columns.labels) + column

    def compared(self, row: int) -> list[int]:
        """The columns that have enough configurations in a row."""
        known = set(self.fit.compared())
        return [c for c in range(len(self.columns.labels)) if self._cell(row, c) in known]

    def comparisons(self) -> int:
        """How many pairs of columns there are, over all rows."""
        rows = range(len(self.rows.labels))
        return sum(len(list(itertools.combinations(self.compared(row), 2))) for row in rows)

    def best(self, row: int) -> int | None:
        """The best column of a row."""
        columns = self.compared(row)
        return max(columns, key=lambda c: self.fit.means[self._cell(row, c)], default=None)

    def difference(self, row: int, one: int, other: int, alpha: float) -> Interval:
        """By how much one column is better than another in a row."""
        return self.fit.difference(self._cell(row, one), self._cell(row, other), alpha)

    def is_best(self, row: int, column: int, alpha: float) -> bool:
        """Whether a column beats every other of its row."""
        others = [other for other in range(len(self.columns.labels)) if other != column]
        return len(self.compared(row)) == len(others) + 1 and all(
            self.difference(row, column, other, alpha).low > 0 for other in others
        )

    def n(self, found: _Reversal) -> int:
        """How many configurations are in the four cells."""
        return sum(
            int(self.fit.counts[self._cell(row, column)])
            for row in (found.one, found.other)
            for column in (found.first, found.second)
        )


def _listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
