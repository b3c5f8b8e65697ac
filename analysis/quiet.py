"""Levels at which the rest matters little: "with batch norm the rest matters little"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from analysis.adjusted import columns_of
from analysis.axes import Axis, Bools, Floats, Ints, levels_of
from analysis.evidence import ALPHA, Finding
from analysis.observed import Observed
from spaces.seeds import derive_seed

FEWEST = 12  # configurations at a level whose spread is looked at
LITTLE = 0.5  # of the spread that the rest makes elsewhere
_RESAMPLES = 200


def quiet_levels(metric: str, observed: Observed, axes: Sequence[Axis], seed: int) -> list[Finding]:
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
    """
    cases = [case for axis in axes if axis.choices is not None for case in _cases(axis, observed)]
    alpha = ALPHA / max(len(cases), 1)
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
        sentence = (
            f"with {case.name} {case.label} the rest matters little: {metric} has a standard "
            f"deviation of {ratio.here:.3g}; what the same settings do elsewhere would make it "
            f"{ratio.elsewhere:.3g} ({ratio.value:.2g} times, {ratio.low:.2g} to {ratio.high:.2g}; "
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
    """None where the rest explains nothing elsewhere, or there is too little to tell."""
    here, elsewhere = np.flatnonzero(is_here), np.flatnonzero(~is_here)
    measured = _spreads(values, columns, here, elsewhere)
    if measured[1] == 0.0:
        return None
    smallest = 1e-6 * measured[1]
    logs = []
    for _ in range(_RESAMPLES):
        drawn = _spreads(
            values,
            columns,
            generator.choice(here, len(here)),
            generator.choice(elsewhere, len(elsewhere)),
        )
        logs.append(np.log(max(drawn[0], smallest) / max(drawn[1], smallest)))
    middle = float(np.log(max(measured[0], smallest) / measured[1]))
    reach = float(norm.ppf(1 - alpha / 2) * np.std(logs, ddof=1))
    value, low, high = np.exp([middle, middle - reach, middle + reach]).tolist()
    return _Ratio(value, low, high, *measured)


def _spreads(values: Floats, columns: Floats, here: Ints, elsewhere: Ints) -> tuple[float, float]:
    """The standard deviation here, and what the fit of elsewhere would make it here; 0: nothing.

    What a fit says by chance alone is taken off.
    """
    design = np.column_stack([np.ones(len(elsewhere)), columns[elsewhere]])
    inverse = np.linalg.pinv(design)
    told = inverse @ values[elsewhere]
    freedom = len(elsewhere) - int(np.linalg.matrix_rank(design))
    if freedom < 1:
        return 0.0, 0.0
    noise = float(np.sum((values[elsewhere] - design @ told) ** 2)) / freedom
    centered = columns[here] - columns[here].mean(axis=0)  # (configurations here, columns)
    by_chance = noise * float(np.sum((centered @ inverse[1:]) ** 2)) / (len(here) - 1)
    explained = float(np.var(centered @ told[1:], ddof=1)) - by_chance
    return float(np.std(values[here], ddof=1)), max(explained, 0.0) ** 0.5
