"""Levels at which the rest matters little: "with batch norm the rest matters little"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from analysis.display.numbers import number
from analysis.insight.adjusted import columns_of
from analysis.insight.axes import Axis, Bools, Floats, Ints, levels_of
from analysis.insight.evidence import ALPHA, Finding
from analysis.insight.observations import Observed
from spaces.seeds import derive_seed

FEWEST = 12  # configurations at a level whose spread is looked at
LITTLE = 0.5  # of the spread that the rest makes elsewhere
_RESAMPLES = 200
_SMALLEST = 1e-6  # of the whole spread


def quiet_levels(
    metric: str, observed: Observed, axes: Sequence[Axis], seed: int, alpha: float = ALPHA
) -> list[Finding]:
    """The levels of choices at which values spread far less than the rest makes them elsewhere.

    What the rest explains at the other levels is fitted there and read off at the parameters that
    this level was tried with, for a sampler that learns tries some levels with good company only.
    It is set against the whole spread at this level, noise and all, so that less noise alone is no
    finding. The interval of the ratio is the bootstrap's, normal in its logarithm.

    Args:
        metric: its name.
        observed: configurations with finite values.
        axes: the parameters.
        seed: of the resamples.
        alpha: how often there may be any where nothing matters.
    """
    cases = [case for axis in axes if axis.choices is not None for case in _cases(axis, observed)]
    alpha /= max(len(cases), 1)
    found = []
    for case in cases:
        generator = np.random.default_rng(derive_seed(seed, "quiet", case.name, case.label))
        columns = columns_of(
            [axis for axis in axes if axis.name != case.name],
            [observed.rows[place] for place in case.places],
            most=int((~case.is_here).sum()) // 3,
        )
        ratio = _ratio(observed.values[case.places], columns, case.is_here, alpha, generator)
        if ratio is None or ratio.high >= LITTLE:
            continue
        n = int(case.is_here.sum())
        value, low, high = (number(each, 2) for each in (ratio.value, ratio.low, ratio.high))
        sentence = (
            f"with {case.name} {case.label} the rest matters little: {metric} has a standard "
            f"deviation of {number(ratio.here, 3)}; what the same settings do elsewhere would "
            f"make it {number(ratio.elsewhere, 3)} ({value} times, {low} to {high}; "
            f"epoch {observed.epoch}, {n} of {len(case.is_here)} configurations)"
        )
        figure = f"standard deviation of {metric} over that elsewhere"
        interval = (ratio.value, ratio.low, ratio.high)
        found.append(
            Finding("quiet", sentence, (case.name,), observed.epoch, n, figure, *interval, alpha)
        )
    return found


class _Case(NamedTuple):
    """One level of a choice: the rows where the parameter applies, and which have the level."""

    name: str
    label: str
    places: Ints
    is_here: Bools  # (places,)


def _cases(axis: Axis, observed: Observed) -> list[_Case]:
    levels = levels_of(axis, observed.rows)
    places = np.flatnonzero(levels.codes >= 0)
    cases = [
        _Case(axis.name, label, places, levels.codes[places] == code)
        for code, label in enumerate(levels.labels)
    ]
    return [case for case in cases if FEWEST <= case.is_here.sum() <= len(places) - FEWEST]


class _Ratio(NamedTuple):
    """The spread here over that elsewhere, its interval, and the two themselves."""

    value: float
    low: float
    high: float
    here: float
    elsewhere: float


def _ratio(
    values: Floats,
    columns: Floats,
    is_here: Bools,
    alpha: float,
    generator: np.random.Generator,
) -> _Ratio | None:
    """None where the ratio is not small, or the rest explains nothing elsewhere."""
    design = np.column_stack([np.ones(len(values)), columns])
    value, here, elsewhere = _spreads(values, design, is_here, np.ones(len(values)))
    if value >= LITTLE:
        return None
    logs = []
    for _ in range(_RESAMPLES):
        weights = np.zeros(len(values))
        for places in (np.flatnonzero(is_here), np.flatnonzero(~is_here)):
            drawn = generator.choice(places, len(places))
            weights += np.bincount(drawn, minlength=len(values))
        logs.append(np.log(_spreads(values, design, is_here, weights)[0]))
    reach = float(ndtri(1 - alpha / 2) * np.std(logs, ddof=1))
    low, high = np.exp([np.log(value) - reach, np.log(value) + reach]).tolist()
    return _Ratio(value, low, high, here, elsewhere)


def _spreads(
    values: Floats, design: Floats, is_here: Bools, weights: Floats
) -> tuple[float, float, float]:
    """The ratio; the standard deviation here; and what the fit of elsewhere would make it here.

    What a fit says by chance alone is taken off.

    Args:
        values: of all; (rows,).
        design: a column of ones and the others; (rows, 1 + columns).
        is_here: the rows at this level; (rows,).
        weights: how often each row was drawn; (rows,).
    """
    here, there = np.where(is_here, weights, 0.0), np.where(is_here, 0.0, weights)
    inverse = np.linalg.pinv((design * there[:, None]).T @ design, hermitian=True)
    told = inverse @ (design.T @ (there * values))
    freedom = max(there.sum() - np.linalg.matrix_rank(inverse, hermitian=True), 1)
    noise = there @ (values - design @ told) ** 2 / freedom
    centered = design - here @ design / here.sum()
    scatter = (centered * here[:, None]).T @ centered / (here.sum() - 1)
    explained = told @ scatter @ told - noise * np.sum(scatter * inverse)
    spread = float(here @ (values - here @ values / here.sum()) ** 2 / (here.sum() - 1)) ** 0.5
    elsewhere = max(float(explained), 0.0) ** 0.5
    whole = float(np.std(values)) or 1.0  # so that neither a ratio nor its logarithm is infinite
    ratio = max(spread, _SMALLEST * whole) / max(elsewhere, _SMALLEST * whole)
    return ratio, spread, elsewhere
