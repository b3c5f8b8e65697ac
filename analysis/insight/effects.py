"""What each value of a parameter comes to on average, alone and in pairs, at one epoch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.insight.axes import Axis, Floats, Levels, axes_of, levels_of
from analysis.insight.importance import RungImportance
from analysis.insight.observations import Observed, observed_at, shared_epoch
from analysis.record.trials import Trials
from analysis.stats.intervals import mean_interval
from analysis.stats.score_range import Bounds, bounds_of
from spaces.experiment import Experiment

MOST_PAIRS = 6
ALWAYS = (("activation", "init"), ("norm", "lr"))
_MOST_COMBINED = 4  # parameters whose pairs are worth a look


@dataclass(frozen=True)
class LevelEffect:
    """The values of the configurations at one level of a parameter.

    Args:
        label: the choice, or ``0.001 to 0.01``.
        bounds: of a bin, in the parameter's unit; None for a choice.
        n: configurations with a finite value.
        diverged: configurations without one.
        mean, sd: of the values; None where there are too few.
        low, high: the 95 % interval of the mean (Student's), within what values can be; None for
            fewer than five values.
        quartiles: 25, 50 and 75 %; None where there is no value.
        values: each of them, where they are too few for an interval.
    """

    label: str
    bounds: tuple[float, float] | None
    n: int
    diverged: int
    mean: float | None
    sd: float | None
    low: float | None
    high: float | None
    quartiles: tuple[float, float, float] | None
    values: tuple[float, ...]


@dataclass(frozen=True)
class Effect:
    """The levels of one parameter.

    ``applies``: in how many configurations it does; the others are in no level.
    """

    parameter: str
    is_log: bool
    applies: int
    levels: list[LevelEffect]


@dataclass(frozen=True)
class Pair:
    """The values by the levels of two parameters.

    ``means`` and ``counts`` are indexed by row, then by column; ``diverged`` counts those that
    have no finite value. A mean is None where no value is.
    """

    row: str
    column: str
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    means: list[list[float | None]]
    counts: list[list[int]]
    diverged: list[list[int]]


@dataclass(frozen=True)
class Effects:
    """The marginal effects of a run at ``epoch``, over ``trials``, ``diverged`` of which had."""

    epoch: int
    trials: int
    diverged: int
    parameters: list[Effect]
    pairs: list[Pair]


def marginal_effects(
    experiment: Experiment,
    trials: Trials,
    epoch: int | None = None,
    importance: RungImportance | None = None,
) -> Effects:
    """The effect of each parameter, and of pairs of them.

    Values of different epochs are never mixed. At later rungs only survivors are left, among whom
    a bad value of a parameter is one that something else made up for.

    Args:
        experiment: of the run.
        trials: of the run.
        epoch: at which values are compared; left out, the one at which all can be
            (``shared_epoch``).
        importance: says which parameters' pairs are worth a look; left out, those that stand first
            in the space. activation with init and norm with lr always are.

    Raises:
        InputError: when the space is a function of the user's that can't be loaded.
    """
    known = list(trials)
    observed = observed_at(experiment, known, epoch or shared_epoch(experiment, known))
    axes = [axis for axis in axes_of(experiment, known) if not axis.distribution.single()]
    levels = {axis.name: levels_of(axis, observed.rows) for axis in axes}
    ranked = list(levels) if importance is None else most_important(importance)
    finite = observed.values[np.isfinite(observed.values)]
    possible = bounds_of(experiment.metric, finite.tolist())
    return Effects(
        observed.epoch,
        observed.trials,
        observed.diverged,
        [_effect(axis, levels[axis.name], observed, possible) for axis in axes],
        [_pair(levels[a], levels[b], observed.values) for a, b in pairs_of(list(levels), ranked)],
    )


def most_important(importance: RungImportance) -> list[str]:
    """The parameters by their PED-ANOVA share, the greatest first."""
    return list(importance.shares.get("ped-anova", {}))


def pairs_of(names: Sequence[str], ranked: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs worth a look, at most six: two always are, then come those of the first ranked."""
    chosen = [pair for pair in ALWAYS if set(pair) <= set(names)]
    first = [name for name in ranked if name in names][:_MOST_COMBINED]
    for pair in itertools.combinations(first, 2):
        if pair not in chosen and pair[::-1] not in chosen:
            chosen.append(pair)
    return chosen[:MOST_PAIRS]


def _effect(axis: Axis, levels: Levels, observed: Observed, possible: Bounds) -> Effect:
    found = []
    for code, label in enumerate(levels.labels):
        held = observed.values[levels.codes == code]
        bounds = levels.bounds[code : code + 2] if levels.bounds else None
        found.append(_level(label, (bounds[0], bounds[1]) if bounds else None, held, possible))
    return Effect(axis.name, axis.is_log, int((levels.codes >= 0).sum()), found)


def _level(
    label: str, bounds: tuple[float, float] | None, held: Floats, possible: Bounds
) -> LevelEffect:
    values = held[np.isfinite(held)]
    n = len(values)
    mean = float(values.mean()) if n else None
    sd = float(values.std(ddof=1)) if n > 1 else None
    interval = mean_interval(values.tolist(), possible)
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    few = tuple(values.tolist()) if interval is None else ()
    quartiles = None
    if n:
        first, middle, third = np.percentile(values, [25, 50, 75]).tolist()
        quartiles = (first, middle, third)
    return LevelEffect(label, bounds, n, len(held) - n, mean, sd, low, high, quartiles, few)


def _pair(rows: Levels, columns: Levels, values: Floats) -> Pair:
    cells = [
        [values[(rows.codes == r) & (columns.codes == c)] for c in range(len(columns.labels))]
        for r in range(len(rows.labels))
    ]
    finite = [[held[np.isfinite(held)] for held in line] for line in cells]
    return Pair(
        rows.axis.name,
        columns.axis.name,
        rows.labels,
        columns.labels,
        [[float(held.mean()) if len(held) else None for held in line] for line in finite],
        [[len(held) for held in line] for line in finite],
        [[int(np.isnan(held).sum()) for held in line] for line in cells],
    )
