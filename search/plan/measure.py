"""What a search would take on this machine: measured in some seconds, with its own parts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from search.control.budget import most_trials
from search.control.view import View
from search.plan.brief_search import Brief, Extent, search_briefly
from search.plan.configurations import Configurations, configurations_of
from search.plan.costs import Costs, Range, Together
from search.plan.crews import Engine, engine_of
from search.plan.driver_seconds import proposal_seconds, report_seconds
from search.preparation import prepare
from search.transport.auto import places_here
from search.transport.inline import Trainer
from search.transport.lanes.speed import Probe, part_of
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data
from trainables.shoal.pool import Pool
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.threads import threads_restored
from trainables.worker.worker import Worker

_EPOCH_SECONDS = 0.5  # that the dearest epoch may take; of a longer one, a part is trained
_BUILT_IN = Extent(epochs=3, seconds=0.5, all_seconds=8.0)
_OWN_CODE = Extent(epochs=2, seconds=3.0, most_seconds=15.0, all_seconds=12.0)
_AS_ONE = Extent(epochs=4)
_MANY = 1000  # trials, beyond which the time for a proposal hardly changes


@dataclass(frozen=True)
class Measured:
    """``costs`` of training one by one; ``as_one``: what differs where many train as one model.

    ``engine``: which of these the search takes; ``trained``: how many configurations were timed;
    ``last_epoch``: after which trainings end of their own accord, None where they go on.
    """

    costs: Costs
    as_one: Costs | None
    engine: Engine
    trained: int
    last_epoch: int | None = None

    @property
    def epoch(self) -> Range:
        """Seconds that an epoch of a configuration takes by itself; the typical one is the mean."""
        epochs = self.costs.epochs
        return Range(min(epochs), statistics.fmean(epochs), max(epochs))

    @property
    def together(self) -> Together | None:
        """How fast many train as one model, where the search does that."""
        return None if self.as_one is None else self.as_one.together

    def costs_for(self, lanes: int, is_on_ray: bool) -> Costs:
        """What holds for workers with so many lanes each."""
        costs = self.as_one if lanes > 1 and self.as_one is not None else self.costs
        return costs.on_ray() if is_on_ray else costs


def measure(experiment: Experiment, view: View, again: str, process: float = 0.0) -> Measured:
    """Train a few configurations for some seconds, and time what else a search does.

    Args:
        experiment: what is planned.
        view: is told what is being done, and of failures.
        again: the command that plans again.
        process: seconds that a process takes to import what it needs.

    Raises:
        InputError: when something that the experiment needs is not there.
        RunError: when the baseline fails, or all that is trained.
    """
    began = time.perf_counter()
    data = prepare(experiment)
    prepared = time.perf_counter()
    engine = engine_of(experiment, view, data)
    measures_too = experiment.engine == "auto"  # the search, as it begins
    opening = process + (time.perf_counter() if measures_too else prepared) - began
    configurations = configurations_of(experiment, data)
    if not configurations.drawn:
        raise InputError("none of 60 configurations drawn at random is valid", "space")
    with view.doing("training a few configurations"), threads_restored():
        bench = _Bench(experiment, configurations, data, view, again)
        alone = bench.one_by_one()
        as_one = bench.as_one(engine.lanes, engine.slower) if engine.lanes > 1 else None
    trials = most_trials(experiment, experiment.budget) or _MANY
    with view.doing("timing the sampler and the report"):
        proposals = proposal_seconds(experiment, min(trials, _MANY))
        closing = report_seconds(experiment, trials)
    costs = replace(alone, proposals=proposals, opening=opening, closing=closing)
    if as_one is not None:
        together, beginning = as_one
        both = replace(costs, together=together, beginning=beginning)
        return Measured(costs, both, engine, bench.trained)
    return Measured(costs, None, engine, bench.trained, bench.last_epoch)


class _Bench:
    """Where configurations are timed.

    Args:
        experiment: what is planned.
        configurations: those that stand for its space.
        data: what built-in models are trained on.
        view: is told of failures.
        again: the command that plans again.
    """

    def __init__(
        self,
        experiment: Experiment,
        configurations: Configurations,
        data: Data | None,
        view: View,
        again: str,
    ) -> None:
        self._experiment = experiment
        self._configurations = configurations
        self._view = view
        self._again = again
        self._share = 1.0 if data is None else self._share_of(data)
        self._data = data if data is None or self._share == 1.0 else part_of(data, self._share)
        self.trained = 0
        self.last_epoch: int | None = None

    def _share_of(self, data: Data) -> float:
        """The part of the data of which the dearest configuration trains an epoch in time."""
        drawn = self._configurations.drawn[self._configurations.dearest()]
        config = resolve(self._experiment, drawn.params, 0, drawn.settings)
        assert isinstance(config, TrainConfig)
        torch.set_num_threads(config.threads)
        _, device = places_here(self._experiment)
        probe = Probe([config], data, device)
        return min(1.0, _EPOCH_SECONDS / (probe.alone(1) * probe.steps))

    def one_by_one(self) -> Costs:
        """Time configurations that train by themselves."""
        extent = _OWN_CODE if self._data is None else _BUILT_IN
        places = self._configurations.measured()
        brief = self._search(places, extent)
        timed = {places[n]: self._timed(times) for n, times in brief.times.items()}
        self.trained, self.last_epoch = len(timed), brief.last_epoch
        seconds = self._configurations.seconds({place: held[1] for place, held in timed.items()})
        return Costs(
            baseline=seconds[0],
            epochs=seconds[self._configurations.has_baseline and len(seconds) > 1 :],
            beginning=statistics.median(held[0] for held in timed.values()),
            checkpoint_bytes=brief.checkpoint_bytes,
            run_bytes=brief.run_bytes,
        )

    def _timed(self, times: Sequence[float]) -> tuple[float, float]:
        """Seconds that a trial takes to begin, and for an epoch.

        The first epoch is not counted, where there are others: own code imports and loads in it.

        Args:
            times: when it was created, and when it ended each epoch.
        """
        created, first, *others = times
        if not others:
            return 0.0, (first - created) / self._share
        epoch = (others[-1] - first) / len(others)
        return max(0.0, first - created - epoch), epoch / self._share

    def as_one(self, lanes: int, slower: frozenset[str]) -> tuple[Together, float]:
        """Time configurations that train as one model; returns what a trial takes to begin, too."""
        count = len(self._configurations.drawn)
        places = [lane % count for lane in range(lanes)]
        assert self._data is not None
        pool = Pool(self._data, lanes, slower)
        times = [*self._search(places, _AS_ONE, pool, lanes).times.values()]
        rounds = min(map(len, times)) - 1  # that all have trained
        ends = [max(held[number] for held in times) for number in (1, rounds)]
        if rounds > 1:
            seconds = (ends[1] - ends[0]) / (rounds - 1)
        else:
            seconds = ends[0] - max(held[0] for held in times)
        begun = min(held[0] for held in times)
        beginning = max(0.0, ends[0] - begun - seconds) / len(times)
        return Together(len(times), seconds / self._share), beginning

    def _search(
        self, places: Sequence[int], extent: Extent, pool: Pool | None = None, slots: int = 1
    ) -> Brief:
        def worker(data: Data | None) -> Trainer:
            return Worker(data, Here(), Echo(), pool=pool)

        given = [self._configurations.drawn[place] for place in places]
        note, again = self._view.note, self._again
        return search_briefly(
            self._experiment, given, self._data, extent, worker, note, again, slots
        )
