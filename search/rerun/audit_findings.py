"""Was stopping early right? What the stopped trials that were trained to the end show, pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from analysis.insight.observations import average_ranks
from analysis.record.reruns import Reruns
from analysis.record.trials import Trial, Trials
from analysis.stats.intervals import Interval
from analysis.verdict.audit import AuditResult, RungCorrelation
from spaces.experiment import Experiment
from spaces.metric import Metric

Curve: TypeAlias = list[float]  # by epoch, the larger the better

_FEWEST = 3  # trials at a rung, for a correlation
_DRAWS = 200


def audit_result(experiment: Experiment, trials: Trials, reruns: Reruns) -> AuditResult | None:
    """What the audits of a run show; None where no stopped trial was trained to its end."""
    by_number = trials.by_number
    audited = {n: r for n, r in reruns.audited().items() if by_number[n].state == "stopped"}
    if not audited or not trials.counts()["completed"]:
        return None
    return judge_stopping(experiment, trials, audited)


def judge_stopping(
    experiment: Experiment, trials: Trials, audited: Mapping[int, Trial]
) -> AuditResult:
    """Judge the stopping of a run by the stopped trials that were trained on.

    Args:
        experiment: the run's.
        trials: its trials, some of which were completed.
        audited: stopped ones by number, as they ended when they were trained on; at least one.
    """
    metric, last = experiment.metric, experiment.scheduler.max_epochs
    draw = np.random.default_rng(0)
    stopped = {t.number: t for t in trials if t.state == "stopped"}
    completed = {t.number: _curve(t, metric) for t in trials if t.state == "completed"}
    curves = {n: _curve(rerun, metric, last) for n, rerun in audited.items() if n in stopped}
    _raise_to_worst(*completed.values(), *curves.values())
    best = max(completed, key=lambda n: (completed[n][-1], -n))
    known = completed | curves
    weights = dict.fromkeys(completed, 1.0) | _weights(stopped, curves, metric)
    better = (n for n, curve in curves.items() if curve[-1] > completed[best][-1])
    longest = max(len(curve) for curve in known.values())
    return AuditResult(
        stopped=len(stopped),
        audited=len(curves),
        best=best,
        beating=sorted(better, key=lambda n: -curves[n][-1]),
        rungs=[
            _correlation(epoch, known, weights, draw)
            for epoch in experiment.scheduler.rung_epochs
            if sum(len(curve) >= epoch for curve in known.values()) >= _FEWEST
        ],
        epochs=sum(t.epoch for t in trials if t.state in ("completed", "stopped")),
        epochs_to_the_end=longest * len(stopped) + sum(map(len, completed.values())),
    )


def _curve(trial: Trial, metric: Metric, epochs: int = 0) -> Curve:
    """The metric by epoch, the larger the better; with ``scope: best`` the best so far.

    One that diverged is worst from there on, up to so many ``epochs``.
    """
    ends = range(1, len(trial.reports) + 1)
    curve = [-metric.cost(metric.of(metric.counting(trial.reports[:end]))) for end in ends]
    if trial.state == "diverged":
        curve[-1:] = [-math.inf] * (1 + max(0, epochs - len(curve)))
    return curve


def _raise_to_worst(*curves: Curve) -> None:
    """Put the worst finite value of all where one diverged, so that no figure is infinite."""
    worst = min((v for curve in curves for v in curve if math.isfinite(v)), default=0.0)
    for curve in curves:
        curve[:] = [max(value, worst) for value in curve]


def _weights(
    stopped: Mapping[int, Trial], audited: Mapping[int, Curve], metric: Metric
) -> dict[int, float]:
    """How many stopped trials each audited one stands for: itself, and those nearest to it.

    All that ASHA knew of a stopped trial is its value at its rung. So it does not matter how the
    audited ones were chosen, as long as it was by these values. Where none was audited at a rung,
    nobody stands for those that were stopped there.
    """
    values = {
        n: -math.inf if (v := t.value(metric)) is None else -metric.cost(v)
        for n, t in stopped.items()
    }
    weights = dict.fromkeys(audited, 1.0)
    for number, trial in stopped.items():
        peers = [n for n in audited if stopped[n].epoch == trial.epoch]
        if number not in audited and peers:
            weights[min(peers, key=lambda n: abs(values[n] - values[number]))] += 1.0
    return weights


def _correlation(
    epoch: int,
    known: Mapping[int, Curve],
    weights: Mapping[int, float],
    draw: np.random.Generator,
) -> RungCorrelation:
    """Spearman's, weighted; its interval by drawing the trials anew."""
    reached = [n for n, curve in known.items() if len(curve) >= epoch]
    weight = np.array([weights[n] for n in reached])
    at_rung = np.array([known[n][epoch - 1] for n in reached])
    at_end = np.array([known[n][-1] for n in reached])
    found = _spearman(at_rung, at_end, weight)
    rows = draw.integers(0, len(reached), (_DRAWS, len(reached)))
    draws = [_spearman(at_rung[row], at_end[row], weight[row]) for row in rows]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (-1.0, 1.0)
    return RungCorrelation(epoch, len(reached), Interval(found, float(low), float(high)))


def _spearman(a: Any, b: Any, weight: Any) -> float:
    """The weighted correlation of ranks; NaN where either is constant."""
    covariance = np.cov(average_ranks(a), average_ranks(b), aweights=weight)
    spread = math.sqrt(max(0.0, covariance[0, 0] * covariance[1, 1]))
    return float(covariance[0, 1] / spread) if spread > 0 else math.nan
