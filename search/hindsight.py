"""Was stopping early right? What the stopped trials that were trained to the end say, pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.hindsight import Hindsight, Interval, RungCorrelation
from analysis.observed import ranks
from analysis.reruns import Reruns
from analysis.trials import Trial, Trials
from search.foresight import Curve, advise
from spaces.experiment import Experiment, Metric

DRAWS = 500
_NEAREST = 5
_FEWEST = 3  # trials at a rung, for a correlation
_SMOOTHING = 0.3  # by trial on made landscapes: tests/search/test_audit.py


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
    was stopped only; so the ends of those that were not audited are guessed from theirs, see
    ``_guessed_ends``.

    Args:
        experiment: the run's.
        trials: its trials.
        audited: stopped ones by number, as they ended when they were taken on; at least one.
    """
    metric, last = experiment.metric, experiment.scheduler.max_epochs
    draw = np.random.default_rng(0)
    stopped = {t.number: t for t in trials if t.state == "stopped"}
    completed = {t.number: _curve(t, metric) for t in trials if t.state == "completed"}
    curves = {n: _curve(rerun, metric, last) for n, rerun in audited.items() if n in stopped}
    _raise_to_worst(*completed.values(), *curves.values())
    best = max(completed, key=lambda n: (completed[n][-1], -n), default=None)
    top = -math.inf if best is None else completed[best][-1]
    others = [t for n, t in stopped.items() if n not in curves]
    longest = max(len(curve) for curve in (*completed.values(), *curves.values()))
    beating = sorted(n for n, curve in curves.items() if curve[-1] > top)
    known = completed | curves
    shares = dict.fromkeys(completed, 1.0) | _shares(stopped, curves)
    return Hindsight(
        stopped=len(stopped),
        audited=len(curves),
        best=best,
        beating=beating,
        beaten=_beaten(stopped, curves, top, draw),
        regret=_regret(others, curves, known, top, metric, draw),
        rungs=[
            _correlation(epoch, known, shares, draw)
            for epoch in experiment.scheduler.rung_epochs
            if sum(len(curve) >= epoch for curve in known.values()) >= _FEWEST
        ],
        epochs=sum(t.epoch for t in trials if t.state in ("completed", "stopped")),
        epochs_to_the_end=longest * len(stopped) + sum(map(len, completed.values())),
        advice=advise(experiment.scheduler, known, shares, draw),
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


def _beaten(
    stopped: Mapping[int, Trial],
    audited: Mapping[int, Curve],
    top: float,
    draw: np.random.Generator,
) -> Interval:
    """How many of all stopped trials are better than ``top``; of the others, rung by rung.

    Each rung has a share of its own, drawn as Jeffreys has it; the others are drawn by it.
    """
    value, found, drawn = 0.0, 0, np.zeros(DRAWS)
    for numbers in _by_rung(stopped).values():
        ends = [audited[number][-1] > top for number in numbers if number in audited]
        better, others = sum(ends), len(numbers) - len(ends)
        found += better
        value += better + (others * better / len(ends) if ends else 0.0)
        share = draw.beta(better + 0.5, len(ends) - better + 0.5, DRAWS)
        drawn += better + draw.binomial(others, share)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, max(float(found), float(low)), float(high))


def _shares(stopped: Mapping[int, Trial], audited: Mapping[int, Curve]) -> dict[int, float]:
    """How many stopped trials each audited one stands for; a rung without any, for none."""
    shares: dict[int, float] = {}
    for numbers in _by_rung(stopped).values():
        held = [number for number in numbers if number in audited]
        shares |= {number: len(numbers) / len(held) for number in held}
    return shares


def _by_rung(stopped: Mapping[int, Trial]) -> dict[int, list[int]]:
    """The numbers of stopped trials, by the epoch at which they were."""
    of_rung: dict[int, list[int]] = {}
    for number, trial in stopped.items():
        of_rung.setdefault(trial.epoch, []).append(number)
    return of_rung


def _regret(
    others: Sequence[Trial],
    audited: Mapping[int, Curve],
    known: Mapping[int, Curve],
    top: float,
    metric: Metric,
    draw: np.random.Generator,
) -> Interval:
    """By how much the best end of all stopped trials exceeds ``top``.

    The lower bound is what the audited ones show for certain.
    """
    seen = max(curve[-1] for curve in audited.values())
    highest = np.full(DRAWS, seen)
    for epoch in sorted({trial.epoch for trial in others}):
        values = np.array([_goodness(t, metric) for t in others if t.epoch == epoch])
        reached = [curve for curve in known.values() if len(curve) >= epoch]
        if not reached:
            continue
        at_rung = np.array([curve[epoch - 1] for curve in reached])
        ends = np.array([curve[-1] for curve in reached])
        guessed = _guessed_ends(values, at_rung, ends, draw)  # (draws, trials)
        highest = np.maximum(highest, guessed.max(axis=1))
    highest = np.minimum(highest, max(seen, _best_possible(known, metric)))
    if not math.isfinite(top):
        return Interval(0.0, 0.0, 0.0)
    value, high = np.quantile(np.maximum(0.0, highest - top), [0.5, 0.975])
    return Interval(float(value), max(0.0, seen - top), float(high))


def _best_possible(known: Mapping[int, Curve], metric: Metric) -> float:
    """The end that nothing exceeds: 1 of an accuracy, 0 of a loss that is never negative."""
    values = [value for curve in known.values() for value in curve]
    if metric.mode == "max":
        is_share = metric.name.endswith("accuracy") and max(values) <= 1.0
        return 1.0 if is_share else math.inf
    return 0.0 if metric.name.endswith("loss") and max(values) <= 0.0 else math.inf


def _guessed_ends(values: Any, at_rung: Any, ends: Any, draw: np.random.Generator) -> Any:
    """Where trials with these values at a rung may have ended, guessed anew for each draw.

    The known trials are drawn anew, a line is fitted to their ends over their values at the rung,
    and what one of the five nearest known trials ended above or below it is added, with a little
    noise: the best of many guesses from few known ends would else never exceed the best of those.

    Args:
        values: (trials,) at the rung.
        at_rung: (known,) values of those whose ends are known.
        ends: (known,) of the same.
        draw: the source of chance.

    Returns:
        (draws, trials).
    """
    known = len(ends)
    rows = draw.integers(0, known, (DRAWS, known))
    lines = [_line(at_rung[row], ends[row]) for row in rows]
    slope, offset = (np.array(part)[:, None] for part in zip(*lines, strict=True))
    nearest = np.argsort(np.abs(values[:, None] - at_rung), axis=1)[:, :_NEAREST]
    chosen = nearest[
        np.arange(len(values)), draw.integers(0, nearest.shape[1], (DRAWS, len(values)))
    ]
    above = ends[chosen] - (offset + slope * at_rung[chosen])  # (draws, trials)
    whole_slope, whole_offset = _line(at_rung, ends)
    spread = np.sqrt(np.mean((ends - whole_offset - whole_slope * at_rung)[nearest] ** 2, axis=1))
    noise = _SMOOTHING * spread * draw.normal(size=above.shape)
    fit_loss = math.sqrt(known / max(1, known - 2))  # what a fit of two numbers hides of the spread
    return offset + slope * values + fit_loss * above + noise


def _line(x: Any, y: Any) -> tuple[float, float]:
    """Slope and offset by least squares; a level line where x is constant."""
    about = x - x.mean()
    squares = float(about @ about)
    slope = float(about @ y) / squares if squares > 0 else 0.0
    return slope, float(y.mean() - slope * x.mean())


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
    for _ in range(DRAWS):
        rows = draw.integers(0, len(reached), len(reached))
        draws.append(_spearman(at_rung[rows], at_end[rows], weight[rows]))
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (-1.0, 1.0)
    return RungCorrelation(epoch, len(reached), Interval(found, float(low), float(high)))


def _spearman(a: Any, b: Any, weight: Any) -> float:
    """The weighted correlation of ranks; NaN where either is constant."""
    covariance = np.cov(ranks(a), ranks(b), aweights=weight)
    spread = math.sqrt(max(0.0, covariance[0, 0] * covariance[1, 1]))
    return float(covariance[0, 1] / spread) if spread > 0 else math.nan
