"""``shoal compare``: the trials of a run in groups, their learning curves and their figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from analysis.display.plots import Line, Panel
from analysis.insight.axes import Axis, levels_of
from analysis.insight.observations import compared_epochs, report_at, shared_epoch
from analysis.record.trials import Reported, Trial
from spaces.experiment import Experiment
from spaces.metric import Metric
from spaces.parameters import Params
from spaces.problems import InputError, unknown_name
from spaces.recorded import holding

MOST_VALUES = 10  # different numbers that are groups of their own; more are cut into bins
MOST_GROUPS = 40
NEAR = 0.05  # of the best value

_CURVES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
ABSENT = "not active"


@dataclass(frozen=True)
class Group:
    """Trials that share the values of some parameters: ``values``, as they are shown."""

    values: dict[str, str]
    trials: list[Trial]

    @property
    def label(self) -> str:
        return ", ".join(self.values.values())


def group_trials(
    trials: Sequence[Trial], distributions: dict[str, BaseDistribution], fields: Sequence[str]
) -> list[Group]:
    """Group the trials that have reported anything.

    Args:
        trials: of a run.
        distributions: of its space, by name.
        fields: the parameters to group by; choices in their order, numbers ascending, more than
            ten different ones in the bins of the report.

    Raises:
        InputError: when a field is not in the space, or there are no trials, or too many groups.
    """
    for name in fields:
        if name not in distributions:
            raise InputError(unknown_name("parameter", name, distributions), "--by")
    reported = [trial for trial in trials if trial.reports]
    if not reported:
        raise InputError("no trial of this run has reported an epoch yet")
    rows = [trial.params for trial in reported]
    keys = zip(*(_levels(name, distributions[name], rows) for name in fields), strict=True)
    found: dict[tuple[tuple[int, str], ...], list[Trial]] = {}
    for key, trial in zip(keys, reported, strict=True):
        found.setdefault(key, []).append(trial)
    if len(found) > MOST_GROUPS:
        message = (
            f"{' and '.join(fields)} make {len(found)} groups; at most {MOST_GROUPS} are shown"
        )
        raise InputError(message, "--by")
    return [
        Group(dict(zip(fields, (text for _, text in key), strict=True)), found[key])
        for key in sorted(found)
    ]


def _levels(
    name: str, distribution: BaseDistribution, rows: Sequence[Params]
) -> list[tuple[int, str]]:
    """The group of each row: its place among the groups, and a text."""
    values = [row[name] for row in rows if name in row]
    axis = Axis(name, holding(distribution, values))
    levels = levels_of(axis, rows, most_values=MOST_VALUES, most_choices=len(rows) + 1)
    named = [*enumerate(levels.labels), (len(levels.labels), ABSENT)]
    return [named[code] for code in levels.codes]


def compare_groups(experiment: Experiment, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """What ``shoal compare --json`` prints of each group.

    ``epoch`` is the one at which all trials can be compared (``shared_epoch``), with the figures
    ``value``, ``training`` (the same measure on the training data) and ``gap`` (by how much that is
    better) at it; ``by_epoch`` has the same for every epoch at which trials are compared, over the
    trials of the group that came so far and did not diverge, which at later ones are survivors.
    ``best`` is the best trial of the group. ``epochs_to_95``: the first epoch within 5 % of the
    trial's best value, over completed trials. Each figure is ``{mean, sd, n}`` over the trials that
    have one (sd is None for one trial); None where none has.
    """
    metric, epochs = experiment.metric, compared_epochs(experiment)
    shared = shared_epoch(experiment, [trial for group in groups for trial in group.trials])
    rows = []
    for group in groups:
        by_epoch = [_at_epoch(group, metric, epoch) for epoch in epochs]
        completed = [trial for trial in group.trials if trial.state == "completed"]
        row = {
            "group": group.values,
            "trials": len(group.trials),
            "states": _states(group),
            **by_epoch[epochs.index(shared)],
            "best": _best_trial(group, metric),
            "epochs_to_95": _summary([_epochs_to_95(trial, metric) for trial in completed]),
            "by_epoch": by_epoch,
        }
        rows.append(row)
    return rows


def _at_epoch(group: Group, metric: Metric, epoch: int) -> dict[str, Any]:
    """The figures of a group at one epoch; one that diverged there, or before, has none."""
    sound = [t for t in group.trials if t.state != "diverged" or t.epoch > epoch]
    known = [report for t in sound if (report := report_at(t, metric, epoch)) is not None]
    return {
        "epoch": epoch,
        "value": _summary([metric.of(report) for report in known]),
        "training": _summary([_training(report, metric) for report in known]),
        "gap": _summary([_gap(report, metric) for report in known]),
    }


def _best_trial(group: Group, metric: Metric) -> dict[str, Any] | None:
    values = [(metric.cost(v), t) for t in group.trials if (v := t.value(metric)) is not None]
    if not values:
        return None
    _, best = min(values, key=lambda held: (held[0], held[1].number))
    report = best.scored(metric)
    assert report is not None
    return {"trial": best.number, "value": best.value(metric), "epoch": report.epoch}


def _states(group: Group) -> dict[str, int]:
    states = [trial.state for trial in group.trials]
    return {state: states.count(state) for state in sorted(set(states))}


def training_name(metric: Metric) -> str:
    """The name of the same measure on the training data."""
    return metric.name.replace("val_", "train_", 1)


def _epochs_to_95(trial: Trial, metric: Metric) -> float:
    scored = trial.scored(metric.model_copy(update={"scope": "best"}))
    best = metric.of(scored)
    near = (
        report.epoch
        for report in trial.reports
        if abs(metric.of(report) - best) <= NEAR * abs(best)
    )
    return next(near, math.nan)


def _training(report: Reported, metric: Metric) -> float:
    name = training_name(metric)
    return math.nan if name == metric.name else report.metrics.get(name, math.nan)


def _gap(report: Reported, metric: Metric) -> float:
    return metric.gain(_training(report, metric), metric.of(report))


def _summary(values: Sequence[float]) -> dict[str, Any] | None:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    sd = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
    return {"mean": float(np.mean(finite)), "sd": sd, "n": len(finite)}


def curve_panels(groups: Sequence[Group], metric: Metric) -> list[Panel]:
    """The learning curves: a panel for each of loss and accuracy, a line for each group.

    A line is the mean over the trials of its group; the band goes from the lowest to the highest.
    Where only a part of the trials got so far, the line is dashed: these are the survivors.
    """
    known = {
        name for group in groups for trial in group.trials for name in trial.reports[0].metrics
    }
    names = [name for name in _CURVES if name in known]
    names += [metric.name] if metric.name not in names else []
    return [
        Panel(
            title=name,
            x="epoch",
            y=name.removeprefix("train_").removeprefix("val_"),
            lines=[_curve(group, name) for group in groups],
            log=name.endswith("loss"),
        )
        for name in names
    ]


def _curve(group: Group, name: str) -> Line:
    length = max(trial.epoch for trial in group.trials)
    values = np.full((len(group.trials), length), np.nan)
    for row, trial in enumerate(group.trials):
        for report in trial.reports:
            values[row, report.epoch - 1] = report.metrics.get(name, np.nan)
    values[~np.isfinite(values)] = np.nan
    there = np.isfinite(values).any(axis=0)
    epochs, values = np.flatnonzero(there) + 1, values[:, there]
    is_whole = np.isfinite(values).all(axis=0)
    band = None
    if len(group.trials) > 1:
        band = (np.nanmin(values, axis=0).tolist(), np.nanmax(values, axis=0).tolist())
    return Line(
        label=group.label,
        x=epochs.tolist(),
        y=np.nanmean(values, axis=0).tolist(),
        band=band,
        dashed_from=None if is_whole.all() else int(np.argmin(is_whole)),
    )
