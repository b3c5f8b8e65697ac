"""How many trials share a GPU, measured: one configuration trained side by side on one of them.

The processes stay, and more and more join them, so that each has to start only once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from analysis.record.events import Shared
from analysis.record.gpu_load import Load
from search.control.dispatcher import Dispatcher
from search.transport.first_config import first_config
from search.transport.on_ray.slots import gpu_share, living_nodes
from search.transport.packing.choice import MOST_TRIALS, choose, next_number, sentence
from search.transport.packing.process import Board, Progress, Sample, train_until_cancelled
from spaces.given import Packed
from spaces.imports import project_of
from spaces.training_config import CodeConfig
from trainables.data.splits import Data

FIRST_SECONDS = 60.0  # until each process has trained a little
WINDOW_SECONDS = 2.0  # in which the work of all is counted
_STEPS_BEFORE = 10  # of a built-in model: the first ones take longer
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 5.0


class ObstacleError(Exception):
    """No more can be measured; why, in words."""


class StoppedError(Exception):
    """The search is being interrupted."""


def measure_shares(
    dispatcher: Dispatcher, data: Data | None, functions: Mapping[str, Packed]
) -> Shared | None:
    """How many trials share a GPU: as the journal has it for such a machine, or measured now.

    Args:
        dispatcher: writes what was found into the journal.
        data: what built-in models are trained on.
        functions: own code that the driver's program has handed over.

    Returns:
        What was found; None when the search is being interrupted.
    """
    try:
        nodes = _nodes_with_gpus(dispatcher)
        known = dispatcher.controller.searched.shared
        if known is not None and known.machine in map(machine_of, nodes):
            return known
        node = min(nodes, key=machine_of)
        found = _measured(dispatcher, node, data, functions)
    except StoppedError:
        return None
    dispatcher.controller.write(found)
    return found


def machine_of(node: Mapping[str, Any]) -> str:
    """What kind of machine a node is, by what Ray says of it: its CPUs, its GPUs and their type."""
    has = node["Resources"]
    types = sorted(name.partition(":")[2] for name in has if name.startswith("accelerator_type:"))
    kind = f" ({', '.join(types)})" if types else ""
    return f"{has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs{kind}"


def _nodes_with_gpus(dispatcher: Dispatcher) -> list[dict[str, Any]]:
    """The nodes that have any, waited for."""
    is_waiting = False
    while not (nodes := [node for node in living_nodes() if node["Resources"].get("GPU", 0) >= 1]):
        if not is_waiting:
            dispatcher.view.note("waiting: no node of the cluster has a GPU")
        is_waiting = True
        _pause(dispatcher)
    return nodes


def _pause(dispatcher: Dispatcher) -> None:
    """Wait a little.

    Raises:
        StoppedError: when the search is being interrupted.
    """
    dispatcher.view.update()
    if dispatcher.is_stopping:
        raise StoppedError
    time.sleep(_POLL_SECONDS)


def _measured(
    dispatcher: Dispatcher,
    node: dict[str, Any],
    data: Data | None,
    functions: Mapping[str, Packed],
) -> Shared:
    """Measure on one GPU of a node, and choose."""
    experiment, has = dispatcher.experiment, node["Resources"]
    cpus = experiment.resources.cpus
    most = min(MOST_TRIALS, int(has.get("CPU", 0) / cpus / int(has["GPU"]) + 1e-9))
    loads: list[Load] = []
    obstacle, config = None, first_config(experiment)
    if config is None:
        obstacle = "no configuration was found that could be measured"
    elif most > 1:
        dispatcher.view.note("measuring how many trials share a GPU")
        project = project_of(experiment.trainable)
        code = None if project is None else str(project)
        sample = Sample(config, code, os.getcwd(), functions)
        try:
            with _one_gpu(dispatcher, node, most * cpus) as group:
                bench = _Bench(dispatcher, group, cpus, gpu_share(most), sample, data)
                with bench.closing():
                    while (number := next_number(loads, most)) is not None:
                        loads.append(bench.load(number))
        except ObstacleError as error:
            obstacle = str(error)
    choice = choose(loads, most, obstacle)
    dispatcher.view.note(sentence(choice, loads))
    return Shared(trials=choice.trials, machine=machine_of(node), reason=choice.reason, loads=loads)


@contextmanager
def _one_gpu(dispatcher: Dispatcher, node: dict[str, Any], cpus: float) -> Iterator[PlacementGroup]:
    """One GPU of a node for ourselves, and so many of its CPUs, waited for."""
    here = f"node:{node['NodeManagerAddress']}"
    group = placement_group([{"GPU": 1, "CPU": cpus, here: 0.001}])
    try:
        while not group.wait(_POLL_SECONDS):
            _pause(dispatcher)
        yield group
    finally:
        remove_placement_group(group)


class _Bench:
    """One GPU, and the processes that train on it.

    Args:
        dispatcher: says when to stop.
        group: holds the GPU.
        cpus: of each process.
        gpus: the share of the GPU that Ray counts for each.
        sample: what they train.
        data: on what.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        group: PlacementGroup,
        cpus: float,
        gpus: float,
        sample: Sample,
        data: Data | None,
    ) -> None:
        self._dispatcher = dispatcher
        self._board = ray.remote(num_cpus=0)(Board).remote()
        self._train = ray.remote(max_calls=1, max_retries=0)(train_until_cancelled).options(
            num_cpus=cpus,
            num_gpus=gpus,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, 0),
        )
        self._given = ray.put(sample), ray.put(data)
        self._work_before = 1 if isinstance(sample.config, CodeConfig) else _STEPS_BEFORE
        self._tasks: list[Any] = []

    @contextmanager
    def closing(self) -> Iterator[None]:
        """End the processes at the end: code of the user's has some seconds to clean up."""
        try:
            yield
        finally:
            for task in self._tasks:
                ray.cancel(task, force=False)
            ray.wait(self._tasks, num_returns=len(self._tasks), timeout=_GRACE_SECONDS)
            ray.kill(self._board)

    def load(self, trainings: int) -> Load:
        """What so many trainings side by side come to.

        Raises:
            ObstacleError: when one of them can't go on, or they take too long.
            StoppedError: when the search is being interrupted.
        """
        for process in range(len(self._tasks), trainings):
            self._tasks.append(self._train.remote(process, self._board, *self._given))

        def has_begun(now: dict[int, Progress]) -> bool:
            works = [progress.work >= self._work_before for progress in now.values()]
            return len(works) == trainings and all(works)

        before = self._wait(has_begun)
        end = time.monotonic() + WINDOW_SECONDS

        def has_gone_on(now: dict[int, Progress]) -> bool:
            works = (now[process].work > before[process].work for process in before)
            return time.monotonic() >= end and all(works)

        after = self._wait(has_gone_on)
        used = [held.used_bytes for held in after.values() if held.used_bytes is not None]
        totals = [held.total_bytes for held in after.values() if held.total_bytes is not None]
        return Load(
            trials=trainings,
            rate=sum(_rate(before[process], after[process]) for process in before),
            used_bytes=max(used, default=None),
            total_bytes=min(totals, default=None),
        )

    def _wait(self, is_enough: Callable[[dict[int, Progress]], bool]) -> dict[int, Progress]:
        """The progress of all, once it is enough."""
        end = time.monotonic() + FIRST_SECONDS
        now: dict[int, Progress]
        while not is_enough(now := ray.get(self._board.read.remote())):
            if ended := ray.wait(self._tasks, timeout=0)[0]:
                raise ObstacleError(f"with {len(self._tasks)}, one ended: {_why(ended[0])}")
            if time.monotonic() > end:
                what = f"{len(self._tasks)} could not be measured within {FIRST_SECONDS:.0f} s"
                raise ObstacleError(what)
            _pause(self._dispatcher)
        return now


def _rate(before: Progress, after: Progress) -> float:
    """How much a process has trained in a second."""
    return (after.work - before.work) / (after.seconds - before.seconds)


def _why(task: Any) -> str:
    """Why a process trains no more, in a line."""
    try:
        reason: str = ray.get(task)
    except ray.exceptions.RayError:
        return "its process died"
    return reason.splitlines()[0]
