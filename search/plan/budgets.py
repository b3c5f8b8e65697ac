"""Which budgets near the file's end within so many hours, and what each of them gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from search.control.budget import grid_size
from search.plan.measure import Measured
from search.plan.rows import row_of
from spaces.experiment import Budget, Experiment
from spaces.scheduler import Scheduler, scheduler_problems

_FACTORS = (2, 3, 4)  # reduction factors, beside the file's
_LONGER = 3  # times as many epochs, or as few
_SEARCHES = 2  # simulated for each number of trials: one that learns little, one that learns much
_FEW, _MANY = 30, 150  # trials, by which it is known what each further one takes,
_FEW_ROUNDS, _MANY_ROUNDS = 2, 6  # and so many for each lane, where these are more
_MOST = 10**9  # trials that a file may ask for
_TRIES = 4  # to find a number that fits


@dataclass(frozen=True)
class Fitting:
    """A budget that fits: a scheduler, and so many trials.

    ``seconds``, ``epochs``, ``completed`` and ``device_hours`` are those of the typical simulated
    search.
    """

    scheduler: Scheduler
    trials: int
    seconds: float
    epochs: float
    completed: float
    device_hours: float

    def cost(self, price: float | None) -> float | None:
        """What it costs, given the price of a device-hour; None where there is none."""
        return None if price is None else price * self.device_hours

    def plain(self, price: float | None) -> dict[str, Any]:
        """The same as plain data, with the cost."""
        scheduler = self.scheduler
        return {
            "trials": self.trials,
            "max_epochs": scheduler.max_epochs,
            "reduction_factor": scheduler.reduction_factor if scheduler.rung_epochs else None,
            "seconds": self.seconds,
            "epochs": self.epochs,
            "completed": self.completed,
            "device_hours": self.device_hours,
            "cost": self.cost(price),
        }


def fitting_budgets(
    experiment: Experiment, measured: Measured, workers: int, hours: float
) -> list[Fitting]:
    """For each scheduler near the file's, the most trials that end within so many hours.

    Args:
        experiment: what is planned.
        measured: what things take.
        workers: how many train.
        hours: in which every simulated search must end.

    Returns:
        Those of few epochs first; none where not even one trial fits.
    """
    schedulers = _near(experiment.scheduler, measured.last_epoch)
    tries = (_Tries(experiment, measured, scheduler, workers) for scheduler in schedulers)
    return [fitting for held in tries if (fitting := held.most(hours * 3600)) is not None]


def _near(scheduler: Scheduler, last_epoch: int | None) -> Iterator[Scheduler]:
    """The file's, and those with other epochs and factors; each is one that a file may have.

    Args:
        scheduler: the file's.
        last_epoch: after which trainings end of their own accord, None where they go on.
    """
    most = scheduler.max_epochs
    epochs = {max(1, most // _LONGER), most, most * _LONGER if last_epoch is None else most}
    is_stopping = scheduler.name != "none"
    own = scheduler.reduction_factor
    factors = sorted({own, *_FACTORS}) if is_stopping else [own]
    for max_epochs in sorted(epochs):
        for factor in factors:
            changes = {"max_epochs": max_epochs, "reduction_factor": factor}
            changed = scheduler.model_copy(update=changes)
            if not list(scheduler_problems(changed)):
                yield changed


class _Tries:
    """Searches with one scheduler and different numbers of trials.

    Args:
        experiment: what is planned.
        measured: what things take.
        scheduler: instead of the experiment's.
        workers: how many train.
    """

    def __init__(
        self, experiment: Experiment, measured: Measured, scheduler: Scheduler, workers: int
    ) -> None:
        self._experiment = experiment
        self._measured = measured
        self._scheduler = scheduler
        self._workers = workers
        size = grid_size(experiment)
        self._limit = _MOST if size is None else size * experiment.repeats

    def most(self, seconds: float) -> Fitting | None:
        """The most trials, to two digits, that end within so many seconds."""
        _, crew = self._measured.engine.crew(self._experiment, self._workers)
        lanes = crew.workers * crew.lanes
        pilots = [max(_FEW, _FEW_ROUNDS * lanes), max(_MANY, _MANY_ROUNDS * lanes)]
        (few, least), (many, longest) = (self._at(trials) for trials in pilots)
        each = (longest - least) / (many.trials - few.trials)
        trials = int(few.trials + (seconds - least) / each) if each > 0 else many.trials
        for _ in range(_TRIES):
            trials = _to_two_digits(min(trials, self._limit))
            if trials < 1:
                return None
            found, longest = self._at(trials)
            if longest <= seconds:
                return found
            trials = min(trials - 1, int(trials * seconds / longest))
        return few if least <= seconds and few.trials <= self._limit else None

    def _at(self, trials: int) -> tuple[Fitting, float]:
        """The search with so many trials, and what the longest takes, in seconds."""
        budget = {"budget": Budget(trials=trials), "scheduler": self._scheduler}
        experiment = self._experiment.model_copy(update=budget)
        row = row_of(experiment, self._measured, self._workers, _SEARCHES)
        typical = (row.seconds.typical, row.epochs.typical, row.completed.typical)
        return Fitting(self._scheduler, trials, *typical, row.device_hours), row.seconds.high


def _to_two_digits(trials: int) -> int:
    """A number that is no larger and has two significant digits."""
    unit: int = 10 ** max(0, len(str(trials)) - 2)
    return trials // unit * unit
