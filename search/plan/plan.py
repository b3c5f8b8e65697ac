"""The plan of a search: what it takes, who should train it, and which budgets fit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from search.control.view import View
from search.plan.assumptions import assumptions
from search.plan.budgets import Fitting, fitting_budgets
from search.plan.costs import Range
from search.plan.crews import check_engine, workers_on
from search.plan.measure import Measured, measure
from search.plan.rows import Row, check_bounded, most_useful, row_of, rows_of
from spaces.experiment import Experiment


@dataclass(frozen=True)
class Asked:
    """What is asked for: so many ``workers`` or ``gpus`` (neither: compare), and ``hours``."""

    workers: int | None = None
    gpus: int | None = None
    hours: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is known of a search before it begins.

    ``rows``: one for each number of workers, in ascending order; ``useful``: more workers than
    that do not help, None where one number was asked for; ``workers``: the number that was asked
    for, or that this machine has; ``budgets``: those that fit into the hours, None where
    none were given; ``confirming``: the most epochs of a confirmation, and seconds.
    """

    experiment: Experiment
    measured: Measured
    rows: list[Row]
    useful: Row | None
    workers: int
    budgets: list[Fitting] | None
    confirming: tuple[int, float] | None
    assumptions: list[str]

    @property
    def row(self) -> Row:
        """The search with the workers that were asked for, or those of this machine."""
        return next(row for row in self.rows if row.workers == self.workers)

    def document(self, price: float | None) -> dict[str, Any]:
        """What ``shoal plan --json`` prints; times in seconds, sizes in bytes.

        Args:
            price: of a device-hour.
        """
        costs, together = self.measured.costs, self.measured.together
        return {
            "experiment": self.experiment.name,
            "measured": {
                "configurations": self.measured.trained,
                "epoch_seconds": _plain(self.measured.epoch),
                "baseline_epoch_seconds": costs.baseline,
                "together": None if together is None else dataclasses.asdict(together),
                "checkpoint_bytes": costs.checkpoint_bytes,
            },
            "workers": self.workers,
            "useful_workers": None if self.useful is None else self.useful.workers,
            "plans": [_plain_row(row, price) for row in self.rows],
            "budgets": None if self.budgets is None else [_plain_fit(b) for b in self.budgets],
            "confirming": None
            if self.confirming is None
            else {"most_epochs": self.confirming[0], "seconds": self.confirming[1]},
            "assumptions": self.assumptions,
        }


def plan_of(
    experiment: Experiment, asked: Asked, view: View, again: str, process: float = 0.0
) -> Plan:
    """Measure, simulate, and choose.

    Args:
        experiment: what is planned.
        asked: for what.
        view: is told what is being done.
        again: the command that plans again.
        process: seconds that a process takes to import what it needs.

    Raises:
        InputError: when the budget sets no limit, something is not there, or there can't be so many
            workers.
        RunError: when what is trained fails.
    """
    check_bounded(experiment)
    wanted = asked.workers
    if asked.gpus is not None:
        wanted = workers_on(experiment.resources, asked.gpus)
    check_engine(experiment, wanted or 1)
    measured = measure(experiment, view, again, process)
    with view.doing("simulating the search"):
        if wanted is None:
            rows = rows_of(experiment, measured)
        else:
            rows = [row_of(experiment, measured, wanted)]
        workers = measured.engine.workers if wanted is None else wanted
        budgets = None
        if asked.hours is not None:
            budgets = fitting_budgets(experiment, measured, workers, asked.hours)
    return Plan(
        experiment,
        measured,
        rows,
        most_useful(rows) if wanted is None else None,
        workers,
        budgets,
        _confirming(experiment, measured, workers),
        [*assumptions(experiment, measured, asked.gpus is not None)],
    )


def _confirming(
    experiment: Experiment, measured: Measured, workers: int
) -> tuple[int, float] | None:
    if experiment.confirm is None:
        return None
    has_baseline = experiment.baseline is not None
    epochs = experiment.confirm.most_epochs(experiment.scheduler.max_epochs, has_baseline)
    _, crew = measured.engine.crew(experiment, workers)
    costs = measured.costs_for(crew.lanes, is_on_ray=False)
    each = costs.of_round([measured.epoch.typical] * crew.lanes) / crew.lanes
    return epochs, epochs * each / workers


def _plain(held: Range) -> dict[str, float]:
    return held._asdict()


def _plain_row(row: Row, price: float | None) -> dict[str, Any]:
    plain = {
        name: held._asdict() if isinstance(held, Range) else held
        for name in (field.name for field in dataclasses.fields(row))
        for held in (getattr(row, name),)
    }
    return {**plain, "cost": None if price is None else price * row.device_hours}


def _plain_fit(fitting: Fitting) -> dict[str, Any]:
    scheduler = fitting.scheduler
    return {
        "trials": fitting.trials,
        "max_epochs": scheduler.max_epochs,
        "reduction_factor": None if scheduler.name == "none" else scheduler.reduction_factor,
        "seconds": fitting.seconds,
        "epochs": fitting.epochs,
        "completed": fitting.completed,
    }
