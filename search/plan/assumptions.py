"""What a plan takes for granted, in words."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from search.plan.measure import Measured
from spaces.experiment import Experiment


def assumptions(experiment: Experiment, measured: Measured, is_on_gpus: bool) -> Iterator[str]:
    """One sentence after the other.

    Args:
        experiment: what is planned.
        measured: how it was measured.
        is_on_gpus: whether GPUs were asked for.
    """
    yield (
        "The values of trials are made up, for only their order decides who is stopped. No trial "
        "fails, diverges or ends early."
    )
    if measured.engine.workers > 1 or measured.engine.name != "inline":
        yield (
            "Several workers do not hinder each other, and each is as fast as this process by "
            "itself. What Ray adds is not measured here."
        )
    limits = [name for name in ("target", "patience") if getattr(experiment.budget, name)]
    if limits:
        named = " and ".join(f"budget.{name}" for name in limits)
        yield f"{named} may end the search earlier."
    if experiment.scheduler.name == "freeze_thaw":
        yield "freeze_thaw is taken to train as many epochs as asha does without learning."
    if experiment.trainable is not None:
        yield (
            f"{measured.trained} configurations of your code were timed, "
            "and the others are like them."
        )
    resources = experiment.resources
    if resources.gpus == "pack":
        yield "With gpus: pack, a trial has a GPU to itself; sharing is measured by the search."
    if resources.world_size > 1:
        yield "A trial was timed with one process; it is faster with several."
    if is_on_gpus and not torch.cuda.is_available():
        yield "There is no GPU here: epochs were timed on the CPU."
