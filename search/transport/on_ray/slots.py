"""How many trials fit on the cluster, and what each reserves there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from spaces.problems import InputError, Problem
from spaces.resources import Resources

_BELIEVED_SECONDS = 2.0  # how long the number of slots is believed
_FINEST = 10_000  # Ray counts a GPU in so many parts


def living_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def gpu_share(trials: int) -> float:
    """What part of a GPU each of so many trials has, as Ray counts it."""
    return (_FINEST // trials) / _FINEST


@dataclass
class Slots:
    """How many trials fit on the cluster at a time.

    ``cpus``, ``gpus``: of each of the ``workers`` of a trial. These are on one node, unless
    ``spread``.
    """

    cpus: float
    gpus: float
    workers: int = 1
    spread: bool = False
    _count: int = 0
    _counted_at: float = -math.inf

    def count(self) -> int:
        """The number that fits now."""
        if time.monotonic() - self._counted_at > _BELIEVED_SECONDS:
            fitting = [self._fitting(node["Resources"]) for node in living_nodes()]
            if self.spread:
                self._count = sum(fitting) // self.workers
            else:
                self._count = sum(number // self.workers for number in fitting)
            self._counted_at = time.monotonic()
        return self._count

    def _fitting(self, node: dict[str, float]) -> int:
        """How many workers fit on a node, each with its GPU, or its share of one."""
        by_cpu = int(node.get("CPU", 0) / self.cpus + 1e-9)
        if self.gpus == 0:
            return by_cpu
        return min(by_cpu, int(node.get("GPU", 0)) * int(1 / self.gpus + 1e-9))

    @property
    def trials_per_gpu(self) -> int:
        """How many trials share a GPU; 1 where none do."""
        return int(1 / self.gpus + 1e-9) if 0 < self.gpus < 1 else 1

    def share(self, trials: int) -> None:
        """Let so many trials share each GPU from now on."""
        self.gpus = gpu_share(trials)
        self._counted_at = -math.inf

    @property
    def shortage(self) -> str:
        """Why no trial fits, in words."""
        asked = f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"
        if self.workers == 1:
            return f"no node of the cluster has the {asked} that a trial needs"
        place = "the cluster has not" if self.spread else "no node of the cluster has"
        return f"{place} {self.workers} times the {asked} that each worker of a trial needs"

    def reserved(self, is_alone: bool = False) -> tune.PlacementGroupFactory:
        """What Tune reserves for a trial; the process that leads several workers needs nothing.

        Args:
            is_alone: whether the trial has a GPU for itself where others share theirs.
        """
        gpus = 1.0 if is_alone else self.gpus
        bundle = {"CPU": self.cpus, **({"GPU": gpus} if gpus else {})}
        if self.workers == 1:
            return tune.PlacementGroupFactory([bundle])
        return tune.PlacementGroupFactory(
            [{}, *(dict(bundle) for _ in range(self.workers))],
            strategy="SPREAD" if self.spread else "STRICT_PACK",
        )


def slots_for(resources: Resources, may_wait: bool) -> Slots:
    """What each trial gets on the connected cluster.

    Args:
        resources: what the experiment asks for.
        may_wait: whether nodes may join later, so that what is missing now is no mistake.

    Raises:
        InputError: when a trial can't fit on the machines that there are.
    """
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    gpus = resources.gpus_per_worker(has_gpus)
    slots = Slots(resources.cpus, gpus, resources.world_size, resources.spread)
    if not may_wait and (problems := _problems(resources, gpus)):
        raise InputError(problems)
    return slots


def _problems(resources: Resources, gpus: float) -> list[Problem]:
    """What there is too little of for a trial on this machine."""
    workers = resources.world_size
    nodes = [node["Resources"] for node in living_nodes()]
    each = "per trial" if workers == 1 else f"for {workers} workers"
    problems = []
    if resources.gpus == "pack" and not any(node.get("GPU", 0) >= 1 for node in nodes):
        rule = "pack measures how many trials share a GPU, and there is none here"
        return [Problem("resources.gpus", f"{rule}: leave gpus out, or set it to 0")]
    for path, kind, asked in (
        ("resources.cpus", "CPU", resources.cpus * workers),
        ("resources.gpus", "GPU", gpus * workers),
    ):
        most = max(node.get(kind, 0) for node in nodes)
        if asked > most:
            message = f"{asked:g} {each} asked for, but there are {most:g} here"
            problems.append(Problem(path, message))
    return problems
