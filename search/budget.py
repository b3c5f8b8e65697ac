"""When a search has spent its budget, and how a budget is extended."""

from __future__ import annotations

from analysis.run import Trials
from spaces.experiment import Budget, Metric

SOFT = ("trials", "patience")  # no new trials, the running ones go on to their ends


def spent_limits(budget: Budget, metric: Metric, trials: Trials, seconds: float) -> list[str]:
    """The names of the limits that are reached.

    Args:
        budget: the limits.
        metric: whose target and progress are looked at.
        trials: how the run stands.
        seconds: the time spent searching.
    """
    best = next(iter(trials.ranked(metric)), None) if _asks_for_best(budget) else None
    value = None if best is None else best.value(metric)
    reached = {
        "trials": budget.trials is not None and len(trials) >= budget.trials,
        "hours": budget.hours is not None and seconds >= budget.hours * 3600,
        "epochs": budget.epochs is not None and trials.epochs >= budget.epochs,
        "target": budget.target is not None
        and value is not None
        and not metric.better(budget.target, value),
        "patience": budget.patience is not None
        and best is not None
        and _ended_after(trials, best.number) >= budget.patience,
    }
    return [name for name, is_reached in reached.items() if is_reached]


def _asks_for_best(budget: Budget) -> bool:
    return budget.target is not None or budget.patience is not None


def _ended_after(trials: Trials, number: int) -> int:
    """How many trials with a higher number have ended."""
    return sum(trial.state != "running" and trial.number > number for trial in trials)


def extended(
    budget: Budget,
    spent: list[str],
    trials_so_far: int,
    hours_so_far: float,
    trials: int,
    hours: float,
) -> Budget:
    """The budget with so many more trials and hours; other limits that were spent are lifted."""
    limits = {name: None if name in spent else held for name, held in budget.model_dump().items()}
    if trials:
        limits["trials"] = (budget.trials or trials_so_far) + trials
    if hours:
        limits["hours"] = (budget.hours or hours_so_far) + hours
    return Budget(**limits)
