"""What a trial gets of the machines, and when its checkpoints are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from spaces.problems import shown
from spaces.sections import Section, Size

MOST_THREADS = 1024
MOST_WORKERS = 1024
LEAST_SHARE = 1e-4  # of a CPU or a GPU: Ray knows no smaller ones


def _parse_gpus(value: Any) -> Literal["auto", "pack"] | float:
    if value in ("auto", "pack"):
        return "auto" if value == "auto" else "pack"
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"must be auto, pack or a number, 0 or more, got {shown(value)}")
    if value > 1 and value != int(value):
        raise ValueError(f"a trial has a share of one GPU, or whole ones, got {shown(value)}")
    if 0 < value < LEAST_SHARE:
        raise ValueError(f"must be 0, or at least {LEAST_SHARE:g}, got {shown(value)}")
    if value > MOST_WORKERS:
        raise ValueError(f"must be at most {MOST_WORKERS}, got {shown(value)}")
    return float(value)


class Resources(Section):
    """What each trial gets; ``gpus: auto`` is one GPU per worker where there is any, else none.

    Fractions let trials share a CPU or a GPU; with ``gpus: pack``, how many share a GPU is
    measured before the search. ``workers``: the processes that train a trial
    together, each with ``cpus`` and at most one GPU; left out: one per GPU, at least one. They are
    on one node, or with ``spread`` on as many as possible. A process uses one thread per whole CPU.
    """

    cpus: Annotated[float, Field(ge=LEAST_SHARE, le=MOST_THREADS)] = 1
    gpus: Annotated[Literal["auto", "pack"] | float, PlainValidator(_parse_gpus)] = "auto"
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | None = None
    spread: bool = False

    @model_validator(mode="after")
    def _check_rules(self) -> Resources:
        if self.gpus == "pack":
            if self.world_size > 1:
                rule = "with gpus: pack, a trial has one worker, for it shares its GPU"
                raise ValueError(f"{rule}, got {self.workers}")
            return self._check_spread()
        has_share = self.workers == 1 and self.gpus != "auto" and self.gpus < 1
        fitting = ("auto", 0, self.workers)
        if self.workers is not None and self.gpus not in fitting and not has_share:
            rule = f"each of {self.workers} workers has one GPU, or none"
            raise ValueError(f"{rule}: gpus must be auto, 0 or {self.workers}, got {self.gpus:g}")
        return self._check_spread()

    def _check_spread(self) -> Resources:
        if self.spread and self.world_size == 1:
            raise ValueError("spread is for several workers, and a trial has one")
        return self

    @property
    def world_size(self) -> int:
        """How many processes train a trial."""
        if self.workers is not None:
            return self.workers
        return 1 if isinstance(self.gpus, str) else max(1, int(self.gpus))

    def gpus_per_worker(self, has_gpus: bool) -> float:
        """What each process of a trial has, of a cluster with GPUs or without.

        With ``pack``, a whole one, as long as it was not measured how many share it.
        """
        if self.gpus == "pack":
            return 1.0
        if self.gpus == "auto":
            return float(has_gpus)
        return self.gpus / self.world_size


class Checkpointing(Section):
    """When a trial's checkpoint is written, while the next epoch trains.

    After every ``every_epochs`` epochs, or once ``every_seconds`` have passed since the last one,
    whichever comes first. Besides, where a trial may be stopped or paused, and at its end.
    """

    every_epochs: Size | None = 1
    every_seconds: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check_rules(self) -> Checkpointing:
        if self.every_epochs is None and self.every_seconds is None:
            raise ValueError("needs every_epochs, every_seconds, or both")
        return self
