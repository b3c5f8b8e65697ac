"""Who trains a search: how many workers, and what each of them trains at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from search.control.view import View
from search.plan.costs import Crew
from search.transport.auto import measured_choice, places_here
from search.transport.inline import refuse_unmet
from search.transport.lanes.counts import LANES, check_can_swim, lanes_for
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.resources import Resources
from trainables.data.splits import Data


@dataclass(frozen=True)
class Engine:
    """What a search trains with.

    ``name``: inline, tune or fused; ``lanes``: the most trials that train as one model;
    ``slower``: the kinds that do not; ``stays_here``: whether ``auto`` takes it for a single
    process only, and ``tune`` for several; ``workers``: how many there are on this machine.
    """

    name: str
    lanes: int = 1
    slower: frozenset[str] = frozenset()
    stays_here: bool = False
    workers: int = 1

    def crew(self, experiment: Experiment, workers: int) -> tuple[str, Crew]:
        """Which engine trains with so many workers, and who they are."""
        if self.name == "fused" and not (self.stays_here and workers > 1):
            lanes = lanes_for(experiment, self.lanes * workers) // workers
            return "fused", Crew(workers, max(1, lanes))
        return ("inline" if self.name == "inline" else "tune"), Crew(workers)


def check_engine(experiment: Experiment, workers: int, option: str) -> None:
    """See that the engine can have so many workers, and train this experiment.

    Args:
        experiment: what is planned.
        workers: how many shall train.
        option: that says so.

    Raises:
        InputError: when it can't.
    """
    if experiment.engine == "inline":
        if workers > 1:
            rule = "engine: inline trains one trial at a time; tune and fused have several workers"
            raise InputError(f"{rule}, got {workers}", option)
        refuse_unmet(experiment, "needs processes beside this one, which engine: inline lacks")
    if experiment.engine == "fused":
        refuse_unmet(experiment, "trials that train as one model can't have it; use engine: tune")
        check_can_swim(experiment)


def engine_of(experiment: Experiment, view: View, data: Data | None) -> Engine:
    """What the search would train with on this machine.

    Args:
        experiment: is one that its engine can train.
        view: is told when something is measured.
        data: what built-in models are trained on.
    """
    places, _ = places_here(experiment)
    here = 1 if places is None else max(1, places.trials // experiment.resources.world_size)
    if experiment.engine == "inline":
        return Engine("inline")
    if experiment.engine == "fused":
        lanes = lanes_for(experiment, LANES)
        return Engine("fused", lanes, workers=max(1, torch.cuda.device_count()))
    found = measured_choice(experiment, view, data) if experiment.engine == "auto" else None
    if found is None or places is None or found[0].engine == "tune":
        return Engine("tune", workers=here)
    choice, speed = found
    is_here = choice.engine == "here"
    workers = 1 if is_here else places.groups
    return Engine("fused", speed.lanes, speed.slower, stays_here=is_here, workers=workers)


def workers_on(resources: Resources, gpus: int) -> int:
    """How many trials so many GPUs train at a time.

    Raises:
        InputError: when trials use none, or one needs more.
    """
    share = resources.gpus_per_worker(has_gpus=True)
    if share == 0:
        rule = "resources.gpus is 0, so no trial uses one; --workers says how many CPUs train"
        raise InputError(rule, "--gpus")
    needed = resources.world_size
    if needed > gpus:
        raise InputError(f"a trial needs {needed} GPUs (resources.gpus), got {gpus}", "--gpus")
    return gpus // needed if needed > 1 else gpus * int(1 / share + 1e-9)


def gpus_of(resources: Resources, workers: int) -> int:
    """How many GPUs so many workers have; 0 where they use none."""
    share = resources.gpus_per_worker(has_gpus=torch.cuda.is_available())
    if share == 0:
        return 0
    if resources.world_size > 1:
        return workers * resources.world_size
    return -(-workers // int(1 / share + 1e-9))
