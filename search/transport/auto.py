"""The transport that measures which of the others is fastest, and is that one."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

from analysis.display.numbers import number
from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport import ray_seconds
from search.transport.environment import prepare_environment
from search.transport.inline import unmet
from search.transport.interface import Transport
from search.transport.lanes.counts import tried_lanes
from search.transport.lanes.fused import Fused
from search.transport.lanes.speed import Speed, measured_speed
from search.transport.processes import ProcessAddress
from spaces.experiment import Experiment
from trainables.data.splits import Data
from trainables.room import is_short_of_room
from trainables.worker.threads import threads_restored


class Auto:
    """Trains as one model in this process or in several, or one by one on Ray.

    Args:
        verbose: let Ray's own messages through.
    """

    def __init__(self, verbose: bool = False) -> None:
        self._verbose = verbose
        self._chosen: Transport | None = None

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """Measure, and start what has been chosen.

        Raises:
            InputError: when that can't be started, or can't train this experiment.
        """
        self._chosen = self._choose(experiment, view, data)
        with self._chosen.opened(experiment, view, data):
            yield

    def _choose(self, experiment: Experiment, view: View, data: Data | None) -> Transport:
        if (found := measured_choice(experiment, view, data)) is None:
            return self._on_ray(None)
        choice, speed = found
        view.note(f"engine: {choice.sentence}")
        if choice.engine == "here":
            return Fused(speed.lanes, speed.slower)
        return self._on_ray(speed if choice.engine == "groups" else None)

    def _on_ray(self, speed: Speed | None) -> Transport:
        """Lane groups as they were measured; None: one trial per process."""
        prepare_environment(None)  # Ray reads it as it is imported
        from search.transport.lanes.groups import Groups
        from search.transport.on_ray.tune import Tune

        if speed is None:
            return Tune(None, self._verbose)
        return Groups(None, self._verbose, speed.lanes, speed.slower)

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        assert self._chosen is not None, "not opened"
        self._chosen.run(dispatcher, data)

    def interrupt(self) -> None:
        """A signal asks to stop."""
        if self._chosen is not None:
            self._chosen.interrupt()

    def processes(self) -> Sequence[ProcessAddress]:
        """Those of the one that was chosen."""
        return () if self._chosen is None else self._chosen.processes()


def measured_choice(
    experiment: Experiment, view: View, data: Data | None
) -> tuple[Choice, Speed] | None:
    """The fastest way to train on this machine; None: one by one, and nothing was measured."""
    places, device = places_here(experiment)
    lanes = tried_lanes(experiment, device.type)
    if data is None or places is None or unmet(experiment) or lanes == [1]:
        return None
    with view.doing("measuring which engine is fastest"), threads_restored():
        torch.set_num_threads(max(1, int(experiment.resources.cpus)))
        speed = _speed_or_none(experiment, data, device, lanes)
        if device.type == "cuda":
            torch.cuda.empty_cache()  # for the processes that train there
    if speed is None:
        return None
    return choose(speed, places, _expected_epochs(experiment)), speed


def _speed_or_none(
    experiment: Experiment, data: Data, device: torch.device, lanes: Sequence[int]
) -> Speed | None:
    """None, too, where settings do not fit the data, or the memory: the trials will say so."""
    try:
        return measured_speed(experiment, data, device, lanes)
    except ValueError:
        return None
    except Exception as error:
        if is_short_of_room(error):
            return None
        raise


def cpu_count() -> int:
    """The CPUs that this process may use; a container's share of their time aside."""
    if hasattr(os, "sched_getaffinity"):  # not on a Mac
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Places(NamedTuple):
    """How many trials ``tune`` trains at once here, and how many lane groups there can be."""

    trials: int
    groups: int


def places_here(experiment: Experiment) -> tuple[Places | None, torch.device]:
    """The room on this machine, and where to measure; None: there is none for a trial.

    Trials that share a GPU are taken to be as fast as by themselves, groups that do are not. Where
    there is no GPU, groups leave a CPU to the driver, which is busy with all their reports.
    """
    resources, gpus, cpus = experiment.resources, torch.cuda.device_count(), cpu_count()
    share = resources.gpus_per_worker(gpus > 0)
    device = torch.device("cuda" if share > 0 and gpus > 0 else "cpu")
    trials = min(cpus, int(cpus / resources.cpus + 1e-9))
    if trials == 0 or share > gpus:
        return None, device
    if device.type == "cuda":
        sharing = gpus * int(1 / share + 1e-9)
        return Places(min(trials, sharing), min(trials, gpus)), device
    return Places(trials, max(1, min(cpus - 1, int((cpus - 1) / resources.cpus)))), device


class Choice(NamedTuple):
    """``engine``: ``tune``, ``here`` (as one model in this process) or ``groups`` (in several)."""

    engine: str
    sentence: str


def choose(speed: Speed, places: Places, epochs: float) -> Choice:
    """The way that ends soonest, with what was measured.

    Processes side by side are taken to hinder each other in no way, which favours Ray.

    Args:
        speed: what was measured.
        places: on this machine.
        epochs: that all trials take together, about.
    """
    rates = {
        "here": 1 / speed.together,
        "groups": places.groups / speed.together,
        "tune": places.trials / speed.alone,
    }
    starts = {"here": 0.0, "groups": ray_seconds.START, "tune": ray_seconds.START}
    engine = min(rates, key=lambda engine: starts[engine] / epochs + 1 / rates[engine])
    others = f"{places.trials} at a time one by one" if places.trials > 1 else "one by one"
    together = rates["here" if engine == "tune" else engine] / rates["tune"]
    gain = f"{number(together, 2)} times as fast as {others} (measured)"
    if engine == "tune":
        return Choice(engine, f"tune; as one model they would train {gain}")
    if engine == "groups":
        return Choice(engine, f"fused, in {places.groups} processes: {gain}")
    why = ", and need not wait for Ray" if together < 1 else ""
    return Choice(engine, f"fused, trials train as one model: {gain}{why}")


def _expected_epochs(experiment: Experiment) -> float:
    """About how many epochs a search takes; infinite where nothing is known of it."""
    budget, each = experiment.budget, experiment.scheduler.average_epochs
    bounds = [budget.epochs, None if budget.trials is None else budget.trials * each]
    return min((bound for bound in bounds if bound is not None), default=math.inf)
