"""The plan of a search: what it takes, who should train it, and which budgets fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from analysis.display.numbers import duration, number
from search.control.view import View
from search.plan.budgets import Fitting, fitting_budgets
from search.plan.crews import check_engine, workers_on
from search.plan.measure import Measured, measure
from search.plan.rows import Row, check_bounded, check_hours, row_of, rows_of
from search.transport import ray_seconds
from spaces.experiment import Experiment


@dataclass(frozen=True)
class Asked:
    """What is asked for: so many ``workers`` or ``gpus`` (neither: compare), and ``hours``."""

    workers: int | None = None
    gpus: int | None = None
    hours: float | None = None

    @property
    def option(self) -> str:
        """The option that says how many workers there are."""
        return "--workers" if self.gpus is None else "--gpus"

    def workers_of(self, experiment: Experiment) -> int | None:
        """The workers that are asked for, in whatever way.

        Raises:
            InputError: when the trials can't use the GPUs.
        """
        return self.workers if self.gpus is None else workers_on(experiment.resources, self.gpus)


@dataclass(frozen=True)
class Confirming:
    """A confirmation at the end: the most epochs that it trains, and how long that takes."""

    most_epochs: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What is known of a search before it begins.

    ``rows``: one for each number of workers, in ascending order; ``workers``: the number that was
    asked for, or that this machine has; ``useful_workers``: more do not help, None where one number
    was asked for, or each more helps; ``budgets``: those that fit into the hours, None where none
    were given; ``is_timed_elsewhere``: it is for GPUs, and there is none here.
    """

    experiment: Experiment
    asked: Asked
    measured: Measured
    rows: list[Row]
    workers: int
    useful_workers: int | None
    budgets: list[Fitting] | None
    is_timed_elsewhere: bool
    confirming: Confirming | None
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
        measured, together = self.measured, self.measured.together
        return {
            "experiment": self.experiment.name,
            "measured": {
                "configurations": measured.trained,
                "epoch_seconds": asdict(measured.epoch),
                "baseline_epoch_seconds": measured.costs.baseline,
                "together": None if together is None else asdict(together),
                "checkpoint_bytes": measured.costs.checkpoint_bytes,
                "is_timed_elsewhere": self.is_timed_elsewhere,
            },
            "workers": self.workers,
            "useful_workers": self.useful_workers,
            "plans": [{**asdict(row), "cost": row.cost(price)} for row in self.rows],
            "budgets": None
            if self.budgets is None
            else [held.plain(price) for held in self.budgets],
            "confirming": None if self.confirming is None else asdict(self.confirming),
            "assumptions": self.assumptions,
        }


def plan_of(
    experiment: Experiment, asked: Asked, view: View, again: str, process: float = 0.0
) -> Plan:
    """Measure on this machine, simulate, and answer.

    Args:
        experiment: what is planned.
        asked: for what.
        view: is told what is being done.
        again: the command that plans again.
        process: seconds that a process takes to import what it needs.

    Raises:
        InputError: when the budget sets no limit, something is not there, or there can't be so many
            workers or hours.
        RunError: when what is trained fails.
    """
    check_bounded(experiment)
    if asked.hours is not None:
        check_hours(asked.hours, "--hours")
    check_engine(experiment, asked.workers_of(experiment) or 1, asked.option)
    measured = measure(experiment, view, again, process)
    with view.doing("simulating the search"):
        return answered(experiment, asked, measured)


def answered(experiment: Experiment, asked: Asked, measured: Measured) -> Plan:
    """The plan, as it follows from what was measured."""
    experiment = _ending_itself(experiment, measured.last_epoch)
    wanted = asked.workers_of(experiment)
    workers = wanted or measured.engine.workers
    if wanted is None:
        rows, useful = rows_of(experiment, measured)
    else:
        rows, useful = [row_of(experiment, measured, wanted)], None
    budgets = None
    if asked.hours is not None:
        budgets = fitting_budgets(experiment, measured, workers, asked.hours)
    return Plan(
        experiment=experiment,
        asked=asked,
        measured=measured,
        rows=rows,
        workers=workers,
        useful_workers=useful,
        budgets=budgets,
        is_timed_elsewhere=_is_for_gpus(experiment, asked) and not torch.cuda.is_available(),
        confirming=_confirming(experiment, measured, workers),
        assumptions=[*_assumptions(experiment, measured, workers)],
    )


def _is_for_gpus(experiment: Experiment, asked: Asked) -> bool:
    return asked.gpus is not None or experiment.resources.gpus not in (0, "auto")


def _ending_itself(experiment: Experiment, last_epoch: int | None) -> Experiment:
    """The experiment of code whose trainings end before ``max_epochs``, of their own accord."""
    scheduler = experiment.scheduler
    if last_epoch is None or last_epoch >= scheduler.max_epochs:
        return experiment
    lowest = min(scheduler.min_epochs, last_epoch)
    changes = {"max_epochs": last_epoch, "min_epochs": lowest}
    return experiment.model_copy(update={"scheduler": scheduler.model_copy(update=changes)})


def _confirming(experiment: Experiment, measured: Measured, workers: int) -> Confirming | None:
    if experiment.confirm is None:
        return None
    has_baseline = experiment.baseline is not None
    epochs = experiment.confirm.most_epochs(experiment.scheduler.max_epochs, has_baseline)
    _, crew = measured.engine.crew(experiment, workers)
    costs = measured.costs_for(crew.lanes, is_on_ray=False)
    seconds = costs.of_round([measured.epoch.typical] * crew.lanes) / crew.lanes
    return Confirming(epochs, epochs * seconds / workers)


def _assumptions(experiment: Experiment, measured: Measured, workers: int) -> Iterator[str]:
    """One after the other.

    Args:
        experiment: what is planned.
        measured: how it was measured.
        workers: that were asked for, or that this machine has.
    """
    yield "Other work on the machine is not in the ranges. It can double what a search takes."
    yield (
        "The values of trials are made up, for only their order decides who is stopped. No trial "
        "fails, diverges or ends early."
    )
    if experiment.sampler.learns and experiment.scheduler.name == "asha":
        yield (
            "How much the sampler learns is not known: the ranges are from not at all to very "
            "much. The more it learns, the more trials go on."
        )
    here = measured.engine.workers
    if workers > here:
        room = "1 worker" if here == 1 else f"{here} workers"
        yield f"This machine has room for {room}; {workers} need others that are as fast."
    if here > 1 or measured.engine.name != "inline":
        yield (
            "Several workers do not hinder each other, and each is as fast as this process by "
            "itself. What Ray adds is not measured, but as seen on 2 cores: "
            f"{duration(ray_seconds.START)} at the start, and "
            f"{number(1000 * ray_seconds.REPORT, 1)} ms for a report."
        )
    limits = [name for name in ("target", "patience") if getattr(experiment.budget, name)]
    if limits:
        named = " and ".join(f"budget.{name}" for name in limits)
        yield f"{named} may end the search earlier."
    if experiment.scheduler.name == "freeze_thaw":
        yield "freeze_thaw is taken to train as many epochs as asha does without learning."
    if experiment.trainable is not None:
        yield (
            "Only one training of your code was timed; others may take several times as long."
            if measured.trained == 1
            else f"Your code was timed with {measured.trained} configurations; the others are like "
            "them."
        )
    resources = experiment.resources
    if resources.gpus == "pack":
        yield "With gpus: pack, a trial has a GPU to itself; sharing is measured by the search."
    if resources.world_size > 1:
        yield "A trial was timed with one process; it is faster with several."
