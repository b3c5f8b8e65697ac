"""What a search takes with so many workers, and how many of them help."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from search.control.budget import most_trials
from search.plan.costs import Crew, Range, range_of
from search.plan.crews import gpus_of
from search.plan.measure import Measured
from search.plan.simulate import Simulated, simulations
from spaces.experiment import Experiment
from spaces.problems import InputError
from trainables.checkpoints.checkpoints import KEPT_WHILE_RUNNING

_MOST_HOURS = 1_000_000
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)  # of workers, where none is named
_SAME = 1.1  # times as many trials an hour are no more


@dataclass(frozen=True)
class Row:
    """A search with so many workers.

    ``engine``: that trains; ``lanes``: trials of each worker; ``devices``: GPUs, or where trials
    use none, processes; ``seconds``: from the start to the report; ``ends_seconds``: before the
    first trial and after the last; ``proposal_seconds``: that the driver takes for all proposals;
    ``completed``: trials that reach max_epochs; ``busy``: the share of the workers' time in which
    they train; ``device_hours``: devices times wall time, in the typical case; ``disk_bytes``: of
    checkpoints and all else.
    """

    workers: int
    engine: str
    lanes: int
    devices: int
    seconds: Range
    ends_seconds: float
    proposal_seconds: float
    trials: Range
    epochs: Range
    completed: Range
    busy: float
    device_hours: float
    disk_bytes: float

    def cost(self, price: float | None) -> float | None:
        """What it costs, given the price of a device-hour; None where there is none."""
        return None if price is None else price * self.device_hours


def check_bounded(experiment: Experiment) -> None:
    """See that the budget ends the search.

    Raises:
        InputError: when only what is found could.
    """
    budget = experiment.budget
    is_counted = most_trials(experiment, budget) is not None or budget.epochs is not None
    if is_counted:
        return
    if budget.hours is None:
        rule = "a plan needs a limit on trials, epochs or hours, such as --set budget.trials=60"
        raise InputError(rule, "budget")
    check_hours(budget.hours, "budget.hours")


def check_hours(hours: float, place: str) -> None:
    """See that a search can be planned for so many hours.

    Raises:
        InputError: when it can't, with the place of the number.
    """
    if not 0 < hours <= _MOST_HOURS:
        raise InputError(f"must be more than 0, at most {_MOST_HOURS:,}, got {hours:g}", place)


def row_of(
    experiment: Experiment, measured: Measured, workers: int, searches: int | None = None
) -> Row:
    """Simulate the search with so many workers.

    Args:
        experiment: what is planned.
        measured: what things take.
        workers: how many train.
        searches: how many are simulated; left out: as many as take some seconds.

    Raises:
        InputError: when the engine can't have so many workers.
    """
    engine, crew = measured.engine.crew(experiment, workers)
    costs = measured.costs_for(crew.lanes, is_on_ray=engine == "tune" or workers > 1)
    found = simulations(experiment, costs, crew, searches)
    seconds = range_of(search.seconds for search in found)
    epochs = range_of(search.epochs for search in found)
    trials = range_of(search.trials for search in found)
    resources = experiment.resources
    devices = gpus_of(resources, workers) or workers * resources.world_size
    running = min(workers * crew.lanes, trials.typical)
    checkpoints = (trials.typical + (KEPT_WHILE_RUNNING - 1) * running) * costs.checkpoint_bytes
    return Row(
        workers=workers,
        engine=engine,
        lanes=crew.lanes,
        devices=devices,
        seconds=seconds,
        ends_seconds=costs.opening + costs.closing,
        proposal_seconds=costs.of_proposals(trials.typical),
        trials=trials,
        epochs=epochs,
        completed=range_of(search.completed for search in found),
        busy=statistics.fmean(_busy(search, crew) for search in found),
        device_hours=devices * seconds.typical / 3600,
        disk_bytes=checkpoints + epochs.typical * costs.run_bytes,
    )


def _busy(search: Simulated, crew: Crew) -> float:
    return search.trained / (crew.workers * search.seconds)


def rows_of(experiment: Experiment, measured: Measured) -> tuple[list[Row], int | None]:
    """The search with more and more workers, up to the first number that helps no more.

    The workers that this machine has are among them.

    Returns:
        A row for each number; and how many workers are useful, None where the most of these are.
    """
    here = measured.engine.workers
    counts = [1] if measured.engine.name == "inline" else sorted({*_COUNTS, here})
    rows = [row_of(experiment, measured, workers) for workers in counts]
    place = _fast_enough(rows)
    useful = None if 0 < place == len(rows) - 1 else rows[place].workers
    shown = [row for at, row in enumerate(rows) if at <= place + 1 or row.workers == here]
    return shown, useful


def _fast_enough(rows: Sequence[Row]) -> int:
    """The place of the first row that trains about as many trials an hour as any."""
    speeds = [row.trials.typical / row.seconds.typical for row in rows]
    return next(place for place, speed in enumerate(speeds) if _SAME * speed >= max(speeds))
