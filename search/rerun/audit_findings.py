"""Was stopping early right? What the stopped trials that were trained to the end say, pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from analysis.display.scale import Scale
from analysis.insight.observations import ranks
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from analysis.verdict.audit import Hindsight, Interval, RungCorrelation
from spaces.experiment import Experiment, Metric

Curve: TypeAlias = list[float]  # by epoch, the larger the better

DRAWS = 500
_FEWEST = 3  # trials at a rung, for a correlation
_CORRELATION_DRAWS = 200
# Both were chosen on made landscapes, so that the bound holds in 95 % of their searches:
# tests/search/rerun/test_audit.py.
_SMOOTHING = 0.5
_BOUND = 0.99


def hindsight_of(experiment: Experiment, trials: Trials, reruns: Reruns) -> Hindsight | None:
    """What the audits of a run say; None where no stopped trial was taken to its end."""
    by_number = trials.by_number
    audited = {n: r for n, r in reruns.audited().items() if by_number[n].state == "stopped"}
    if not audited or not trials.counts()["completed"]:
        return None
    return look_back(experiment, trials, audited)


def look_back(experiment: Experiment, trials: Trials, audited: Mapping[int, Trial]) -> Hindsight:
    """Judge the stopping of a run by the stopped trials that were trained on.

    What became of a trial depends, for all that ASHA knew of it, on its value at the rung where it
    was stopped only. So it does not matter how the audited ones were chosen, if it was by these
    values; and the ends of the others are guessed from theirs, see ``_guessed_ends``.

    Args:
        experiment: the run's.
        trials: its trials, some of which were completed.
        audited: stopped ones by number, as they ended when they were taken on; at least one.
    """
    metric, last = experiment.metric, experiment.scheduler.max_epochs
    draw = np.random.default_rng(0)
    stopped = {t.number: t for t in trials if t.state == "stopped"}
    completed = {t.number: _curve(t, metric) for t in trials if t.state == "completed"}
    curves = {n: _curve(rerun, metric, last) for n, rerun in audited.items() if n in stopped}
    _raise_to_worst(*completed.values(), *curves.values())
    best = max(completed, key=lambda n: (completed[n][-1], -n))
    top = completed[best][-1]
    known = completed | curves
    shares = dict.fromkeys(completed, 1.0) | _shares(stopped, curves, metric)
    beating = sorted((n for n, c in curves.items() if c[-1] > top), key=lambda n: -curves[n][-1])
    seen = curves[beating[0]][-1] - top if beating else None
    is_share = _is_share(known, metric)
    others = [trial for number, trial in stopped.items() if number not in curves]
    chance, bound = None, seen or 0.0
    if others:
        to_scale, back = _natural_scale(known, top, metric)
        highest = back(_highest_ends(others, known, shares, metric, to_scale, draw))
        chance = (np.count_nonzero(highest > top) + 0.5) / (DRAWS + 1)
        bound = max(bound, float(np.quantile(highest, _BOUND)) - top)
    longest = max(len(curve) for curve in known.values())
    return Hindsight(
        stopped=len(stopped),
        audited=len(curves),
        best=best,
        beating=beating,
        regret=seen,
        chance=chance,
        bound=bound,
        rungs=[
            _correlation(epoch, known, shares, draw)
            for epoch in experiment.scheduler.rung_epochs
            if sum(len(curve) >= epoch for curve in known.values()) >= _FEWEST
        ],
        epochs=sum(t.epoch for t in trials if t.state in ("completed", "stopped")),
        epochs_to_the_end=longest * len(stopped) + sum(map(len, completed.values())),
        scale=Scale(is_share),
    )


def _goodness(trial: Trial, metric: Metric) -> float:
    value = trial.value(metric)
    return -math.inf if value is None else value if metric.mode == "max" else -value


def _curve(trial: Trial, metric: Metric, epochs: int = 0) -> Curve:
    """The metric by epoch, the larger the better; with ``scope: best`` the best so far.

    One that diverged is worst from there on, up to so many ``epochs``.
    """
    sign = 1.0 if metric.mode == "max" else -1.0
    values = [sign * report.metrics[metric.name] for report in trial.reports]
    curve = [value if math.isfinite(value) else -math.inf for value in values]
    if metric.scope == "best":
        curve = np.maximum.accumulate(curve).tolist()
    if trial.state == "diverged":
        curve[-1:] = [-math.inf] * (1 + max(0, epochs - len(curve)))
    return curve


def _raise_to_worst(*curves: Curve) -> None:
    """Put the worst finite value of all where one diverged, so that no figure is infinite."""
    worst = min((v for curve in curves for v in curve if math.isfinite(v)), default=0.0)
    for curve in curves:
        curve[:] = [max(value, worst) for value in curve]


def _shares(
    stopped: Mapping[int, Trial], audited: Mapping[int, Curve], metric: Metric
) -> dict[int, float]:
    """How many stopped trials each audited one stands for: itself, and those nearest to it.

    Nearest by the value at the rung where both were stopped; where none was audited at a rung,
    nobody stands for those that were stopped there.
    """
    shares = dict.fromkeys(audited, 1.0)
    for number, trial in stopped.items():
        held = [n for n in audited if stopped[n].epoch == trial.epoch]
        if number not in audited and held:
            value = _goodness(trial, metric)
            nearest = min(held, key=lambda n: abs(_goodness(stopped[n], metric) - value))
            shares[nearest] += 1.0
    return shares


def _is_share(known: Mapping[int, Curve], metric: Metric) -> bool:
    """Whether the metric is an accuracy from 0 to 1."""
    values = [value for curve in known.values() for value in curve]
    is_within = min(values) >= 0.0 and max(values) <= 1.0
    return metric.mode == "max" and metric.name.endswith("accuracy") and is_within


def _natural_scale(
    known: Mapping[int, Curve], top: float, metric: Metric
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """To and from a scale on which good values scatter as much as poor ones do.

    It is the logarithm of what an accuracy lacks of 1, or a loss is above 0: near the best, less is
    left to win, and nothing is better than perfect. Other metrics stay as they are.
    """
    is_share = _is_share(known, metric)
    is_loss = metric.mode == "min" and metric.name.endswith("loss")
    if not is_share and not (is_loss and all(v <= 0.0 for c in known.values() for v in c)):
        return lambda value: value, lambda value: value
    perfect = 1.0 if is_share else 0.0
    widest = perfect - min(value for curve in known.values() for value in curve)
    least = 0.02 * (perfect - top) + 1e-5 * (widest or 1.0)  # so that perfect is not infinite
    return (
        lambda value: -np.log(np.maximum(perfect - value, 0.0) + least),
        lambda place: np.minimum(perfect + least - np.exp(-place), perfect),
    )


def _highest_ends(
    others: Sequence[Trial],
    known: Mapping[int, Curve],
    shares: Mapping[int, float],
    metric: Metric,
    to_scale: Callable[[Any], Any],
    draw: np.random.Generator,
) -> Any:
    """Where the best of some stopped trials may have ended, on the scale; (draws,)."""
    worst = min(value for curve in known.values() for value in curve)
    highest = np.full(DRAWS, -math.inf)
    for epoch in sorted({trial.epoch for trial in others}):
        values = [max(_goodness(t, metric), worst) for t in others if t.epoch == epoch]
        reached = [n for n, curve in known.items() if len(curve) >= epoch]
        if not reached:
            continue
        at_rung = to_scale(np.array([known[n][epoch - 1] for n in reached]))
        ends = to_scale(np.array([known[n][-1] for n in reached]))
        weight = np.array([shares[n] for n in reached])
        guessed = _guessed_ends(to_scale(np.array(values)), at_rung, ends, weight, draw)
        highest = np.maximum(highest, guessed.max(axis=1))
    return highest


def _guessed_ends(
    values: Any, at_rung: Any, ends: Any, weight: Any, draw: np.random.Generator
) -> Any:
    """Where trials with these values at a rung may have ended, guessed anew for each draw.

    The known trials are drawn anew, a line is fitted to their ends over their values at the rung,
    and what one of the known trials ended above or below it is added, with some noise: the best of
    many guesses from few known ends would else never exceed the best of those. How widely ends
    scatter is itself known from so many only, so it is drawn, too, as for Student's t.

    Args:
        values: (trials,) at the rung.
        at_rung: (known,) values of those whose ends are known.
        ends: (known,) of the same.
        weight: (known,) how many trials each stands for.
        draw: the source of chance.

    Returns:
        (draws, trials).
    """
    known = len(ends)
    rows = draw.integers(0, known, (DRAWS, known))
    slope, offset = _lines(at_rung[rows], ends[rows], weight[rows])  # (draws, 1) each
    chosen = draw.integers(0, known, (DRAWS, len(values)))
    above = ends[chosen] - (offset + slope * at_rung[chosen])  # (draws, trials)
    whole_slope, whole_offset = _lines(at_rung, ends, weight)
    spread = math.sqrt(np.mean((ends - whole_offset - whole_slope * at_rung) ** 2))
    noise = _SMOOTHING * spread * draw.normal(size=above.shape)
    degrees = max(1, known - 2)  # a line has two numbers of its own
    scatter = np.sqrt(known / draw.chisquare(degrees, (DRAWS, 1)))
    return offset + slope * values + scatter * (above + noise)


def _lines(x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
    """Slopes and offsets by weighted least squares over the last axis; level where x is constant.

    Args:
        x: (…, points), as are the others.
        y: what the lines are fitted to.
        weight: of each point.

    Returns:
        Two of (…, 1).
    """
    share = weight / weight.sum(axis=-1, keepdims=True)
    middle, height = ((share * each).sum(axis=-1, keepdims=True) for each in (x, y))
    about = share * (x - middle)
    squares = (about * (x - middle)).sum(axis=-1, keepdims=True)
    rise = (about * (y - height)).sum(axis=-1, keepdims=True)
    slope = np.where(squares > 0, rise / np.where(squares > 0, squares, 1.0), 0.0)
    return slope, height - slope * middle


def _correlation(
    epoch: int,
    known: Mapping[int, Curve],
    shares: Mapping[int, float],
    draw: np.random.Generator,
) -> RungCorrelation:
    """Spearman's, weighted; its interval by drawing the trials anew."""
    reached = [n for n, curve in known.items() if len(curve) >= epoch]
    weight = np.array([shares[n] for n in reached])
    at_rung = np.array([known[n][epoch - 1] for n in reached])
    at_end = np.array([known[n][-1] for n in reached])
    found = _spearman(at_rung, at_end, weight)
    draws = []
    for _ in range(_CORRELATION_DRAWS):
        rows = draw.integers(0, len(reached), len(reached))
        draws.append(_spearman(at_rung[rows], at_end[rows], weight[rows]))
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (-1.0, 1.0)
    return RungCorrelation(epoch, len(reached), Interval(found, float(low), float(high)))


def _spearman(a: Any, b: Any, weight: Any) -> float:
    """The weighted correlation of ranks; NaN where either is constant."""
    covariance = np.cov(ranks(a), ranks(b), aweights=weight)
    spread = math.sqrt(max(0.0, covariance[0, 0] * covariance[1, 1]))
    return float(covariance[0, 1] / spread) if spread > 0 else math.nan
