"""What proposes configurations, and which of them are trained further."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from spaces.problems import Problem
from spaces.sections import Section, Size


class Sampler(Section):
    """What proposes configurations: ``curves`` learns from every rung, the others are Optuna's.

    ``grid`` goes through every combination once.
    """

    name: Literal["curves", "tpe", "gp", "cmaes", "random", "grid", "qmc"] = "curves"

    @property
    def learns(self) -> bool:
        """Whether what it proposes depends on what was reported before."""
        return self.name in ("curves", "tpe", "gp", "cmaes")

    @property
    def learns_from_ends(self) -> bool:
        """Whether it looks at trials that have ended, and at no others."""
        return self.name in ("tpe", "gp", "cmaes")


class Scheduler(Section):
    """Which trials are trained further than to the first rung.

    ``asha``: those that are not among the best at a rung are stopped (arXiv 1810.05934).
    ``freeze_thaw``: every trial waits at each rung, and goes on when more is expected of it, for
    each epoch, than of a new one or of any other that waits (arXiv 1406.3896). ``none``: all to the
    end. ``window``, of asha: a rung compares a trial with that many latest arrivals; null: all.
    """

    name: Literal["asha", "freeze_thaw", "none"] = "asha"
    min_epochs: Size = 1
    max_epochs: Size = 27
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    window: Annotated[int, Field(ge=2)] | None = None

    @property
    def rung_epochs(self) -> list[int]:
        """The epochs at which trials are compared; none where no trial is stopped early."""
        return [] if self.name == "none" else self.milestones

    @property
    def milestones(self) -> list[int]:
        """The epochs below ``max_epochs`` where rungs stand, or would stand."""
        epochs = []
        epoch = self.min_epochs
        while epoch < self.max_epochs:
            epochs.append(epoch)
            epoch *= self.reduction_factor
        return epochs

    @property
    def average_epochs(self) -> float:
        """How far a trial goes on the average: 1 in ``reduction_factor`` goes on from a rung."""
        epochs, before = 0.0, 0
        for place, stop in enumerate([*self.rung_epochs, self.max_epochs]):
            epochs += (stop - before) / self.reduction_factor**place
            before = stop
        return epochs


def scheduler_problems(scheduler: Scheduler) -> Iterator[Problem]:
    """The rules that span its settings."""
    low, high = scheduler.min_epochs, scheduler.max_epochs
    if low > high:
        message = f"min_epochs <= max_epochs must hold, got {low} and {high}"
        yield Problem("scheduler.min_epochs", message)
    window, factor = scheduler.window, scheduler.reduction_factor
    if window is not None and scheduler.name == "freeze_thaw":
        yield Problem("scheduler.window", "is a setting of asha, the scheduler is freeze_thaw")
    elif window is not None and window < factor:
        message = f"must be at least reduction_factor ({factor}), got {window}: nothing would stop"
        yield Problem("scheduler.window", message)


def pairing_problems(sampler: Sampler, scheduler: Scheduler) -> Iterator[Problem]:
    """Whether a sampler sees what a scheduler leaves it to see."""
    if sampler.learns_from_ends and scheduler.name == "freeze_thaw":
        yield Problem(
            "scheduler.name",
            f"freeze_thaw keeps trials waiting, and {sampler.name} looks at ended ones only: "
            "take asha or none, or one of the samplers curves, random, qmc and grid",
        )
