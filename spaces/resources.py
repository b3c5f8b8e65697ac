"""What a trial gets of the machines, and when its checkpoints are written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from spaces.problems import shown
from spaces.sections import Section, Size

MOST_THREADS = 1024


def _parse_gpus(value: Any) -> Literal["auto"] | float:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"must be auto or a number from 0 to 1, got {shown(value)}")
    if value > 1:
        raise ValueError(f"more than one GPU per trial is not supported yet, got {shown(value)}")
    return float(value)


class Resources(Section):
    """What each trial gets; ``gpus: auto`` is one GPU per trial where there is any, else none.

    Fractions let trials share a CPU or a GPU. A trial uses one thread per whole CPU, at least one.
    """

    cpus: Annotated[float, Field(gt=0, le=MOST_THREADS)] = 1
    gpus: Annotated[Literal["auto"] | float, PlainValidator(_parse_gpus)] = "auto"


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
