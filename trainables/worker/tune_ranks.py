"""A trial in several processes, one for each rank, which train epoch by epoch together."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayActorError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from torch import distributed
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from spaces.given import Packed
from spaces.project import restore_path
from trainables.data.splits import Data
from trainables.ranks import Rank
from trainables.worker.messages import Assignment, Outcome
from trainables.worker.output import Printing
from trainables.worker.tune_place import RayPlace
from trainables.worker.worker import Worker

GRACE_SECONDS = 5.0  # in which a rank that dies, and so made another one fail, is found dead


class RankDiedError(Exception):
    """A process of the trial died; the trial starts again from its checkpoint."""


class Ranks:
    """Trains one trial after the other, each in the same processes.

    They are placed where Tune has reserved room for them: one bundle of the trial's placement group
    each. The process group lasts as long as they do.

    Args:
        world_size: how many there are.
        data: the dataset; None for the user's own code.
        functions: own code that the driver's program has handed over.
    """

    def __init__(self, world_size: int, data: Data | None, functions: Mapping[str, Packed]) -> None:
        self._world_size = world_size
        self._given = ray.put((data, functions))
        self._processes: list[Any] = []

    def take(self, assignment: Assignment) -> None:
        """Take the next trial; the processes stay."""
        try:
            if not self._processes:
                self._start()
            ray.get([process.take.remote(assignment) for process in self._processes])
        except RayActorError as error:
            self.end()
            raise RankDiedError(f"a rank died as the trial began: {_first_line(error)}") from None

    def step(self) -> Outcome:
        """Train one epoch on all ranks; the outcome is that of rank 0.

        Raises:
            RankDiedError: when a process died, or had no memory or no room on a disk left.
        """
        numbers = {process.step.remote(): number for number, process in enumerate(self._processes)}
        outcomes: dict[int, Outcome] = {}
        waiting, failed = list(numbers), None
        while waiting and failed is None:
            done, waiting = ray.wait(waiting)
            outcomes |= {numbers[ref]: self._outcome(numbers[ref], ref) for ref in done}
            failed = _failed(outcomes)
        if failed is None:
            return _joint(outcomes)
        if waiting:  # it may have failed because another rank died, and others may wait for it
            done, _ = ray.wait(waiting, num_returns=len(waiting), timeout=GRACE_SECONDS)
            for ref in done:
                self._outcome(numbers[ref], ref)
        self.end()
        return failed

    def _outcome(self, number: int, ref: Any) -> Outcome:
        try:
            outcome: Outcome = ray.get(ref)
        except RayActorError:
            self.end()
            reason = "killed, out of memory, or hanging (its log says so)"
            raise RankDiedError(f"rank {number} died: {reason}") from None
        except ray.exceptions.RayTaskError as error:
            self.end()
            raise RankDiedError(f"rank {number}: {_first_line(error.cause)}") from None
        return outcome

    def close(self) -> None:
        """End the training on all ranks at once: ``finally`` blocks may wait for each other."""
        with contextlib.suppress(RayActorError):
            ray.get([process.close.remote() for process in self._processes])

    def end(self) -> None:
        """End the processes."""
        for process in self._processes:
            ray.kill(process)
        self._processes = []

    def _start(self) -> None:
        """Start the processes, and let them join into a group.

        Raises:
            RayActorError: when one of them dies meanwhile.
        """
        group = get_current_placement_group()
        assert group is not None
        for number, bundle in enumerate(group.bundle_specs[: self._world_size]):
            strategy = PlacementGroupSchedulingStrategy(group, number)
            options = {"num_cpus": bundle.get("CPU", 0), "num_gpus": bundle.get("GPU", 0)}
            process = ray.remote(RankProcess).options(scheduling_strategy=strategy, **options)
            self._processes.append(process.remote(self._given))
        nodes = ray.get([process.node.remote() for process in self._processes])
        address = ray.get(self._processes[0].open_store.remote(self._world_size))
        before: Counter[str] = Counter()
        joined = []
        for number, (process, node) in enumerate(zip(self._processes, nodes, strict=True)):
            rank = Rank(number, self._world_size, before[node])
            before[node] += 1
            joined.append(process.join.remote(rank, address))
        ray.get(joined)


class RankProcess:
    """The process of one rank; ``Ranks`` calls it.

    Args:
        given: the dataset, and functions that the driver's program has handed over.
    """

    def __init__(self, given: tuple[Data | None, Mapping[str, Packed]]) -> None:
        restore_path()
        self._data, self._functions = given
        self._store: TCPStore | None = None

    def node(self) -> str:
        """The id of the node on which it runs."""
        return str(ray.get_runtime_context().get_node_id())

    def open_store(self, world_size: int) -> tuple[str, int]:
        """Open the store by which the ranks find each other; returns host and port."""
        host = ray.util.get_node_ip_address()
        self._store = TCPStore(host, 0, world_size, is_master=True, wait_for_workers=False)
        return host, self._store.port

    def join(self, rank: Rank, address: tuple[str, int]) -> None:
        """Join the process group: nccl where there is a GPU for each rank, else gloo."""
        store = self._store or TCPStore(*address, rank.world_size, is_master=False)
        has_gpu = bool(ray.get_gpu_ids()) and torch.cuda.is_available()
        distributed.init_process_group(
            "nccl" if has_gpu else "gloo",
            store=store,
            rank=rank.number,
            world_size=rank.world_size,
        )
        self._rank = rank
        self._worker = Worker(self._data, RayPlace(self._functions), Printing(), rank=rank)

    def take(self, assignment: Assignment) -> None:
        """Take the next trial; each rank has a log of its own."""
        log = Path(assignment.log_file)
        if not self._rank.is_first:
            log = log.with_name(f"{log.stem}.rank{self._rank.number}{log.suffix}")
        self._worker.take(replace(assignment, log_file=str(log)))

    def step(self) -> Outcome:
        """Train one epoch."""
        return self._worker.step()

    def close(self) -> None:
        """Close the user's generator, if there is one."""
        self._worker.close()


def _failed(outcomes: Mapping[int, Outcome]) -> Outcome | None:
    """What says that the training can't go on, with the rank that said so; None if nothing does."""
    for number, outcome in sorted(outcomes.items()):
        who = f"rank {number}: " if number else ""
        if outcome.fault is not None:
            return replace(outcome, fault=who + outcome.fault)
        if outcome.error is not None:
            return replace(outcome, error=who + outcome.error)
    return None


def _joint(outcomes: Mapping[int, Outcome]) -> Outcome:
    """The outcome of rank 0, once all have ended the epoch."""
    first, printed = outcomes[0], outcomes[0].printed
    for number in range(1, len(outcomes)):
        other = outcomes[number]
        if (other.report is None) != (first.report is None):
            ended, goes_on = (number, 0) if other.report is None else (0, number)
            rule = "all ranks report each epoch"
            error = f"rank {ended} has ended, and rank {goes_on} goes on; {rule}"
            return replace(first, report=None, error=error)
        if other.printed:
            printed += f"rank {number}: {other.printed}"
    return replace(first, printed=printed)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
