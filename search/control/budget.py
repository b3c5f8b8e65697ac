"""When a search has spent its budget, and how a budget is extended."""

from __future__ import annotations

from analysis.record.trials import Trial, Trials
from spaces.experiment import Budget, Experiment
from spaces.metric import Metric
from spaces.sections import parse_section

SOFT = ("trials", "patience")  # no new trials, the running ones go on to their ends


def spent_limits(budget: Budget, metric: Metric, trials: Trials, seconds: float) -> list[str]:
    """The names of the limits that are reached.

    Args:
        budget: the limits.
        metric: whose target and progress are looked at.
        trials: how the run stands.
        seconds: the time spent searching.
    """
    best = trials.best(metric) if _asks_for_best(budget) else None
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
        and _ended_since(trials, best, metric) >= budget.patience,
    }
    return [name for name, is_reached in reached.items() if is_reached]


def _asks_for_best(budget: Budget) -> bool:
    return budget.target is not None or budget.patience is not None


def _ended_since(trials: Trials, best: Trial, metric: Metric) -> int:
    """How many trials ended or paused since the best one reported its value, itself not counted."""
    report = best.scored(metric)
    assert report is not None
    return trials.ended_since(report) - best.has_settled_since(report)


def extended(
    budget: Budget,
    spent: list[str],
    trials_so_far: int,
    hours_so_far: float,
    trials: int,
    hours: float,
) -> Budget:
    """The budget with so many more trials and hours than it has; once spent, than there were.

    Other limits that were spent are lifted.

    Raises:
        InputError: when it is more than a budget can have.
    """
    limits = {name: None if name in spent else held for name, held in budget.model_dump().items()}
    if trials:
        limits["trials"] = (
            budget.trials if budget.trials and not spent else trials_so_far
        ) + trials
    if hours:
        limits["hours"] = (budget.hours if budget.hours and not spent else hours_so_far) + hours
    return parse_section(Budget, limits, ("budget",))


def most_trials(experiment: Experiment, budget: Budget) -> int | None:
    """How many trials a budget and a grid allow; None where neither sets a bound."""
    size = grid_size(experiment)
    in_grid = None if size is None else size * experiment.repeats
    return min((n for n in (budget.trials, in_grid) if n is not None), default=None)


def grid_size(experiment: Experiment) -> int | None:
    """How many configurations a grid has; None for the other samplers."""
    return experiment.search_space.combinations() if experiment.sampler.name == "grid" else None
