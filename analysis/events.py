"""The events of a run: what the journal holds, one JSON object a line."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, TypeAdapter
from pydantic_core.core_schema import no_info_after_validator_function

from spaces.parameters import Params

State: TypeAlias = Literal["running", "completed", "stopped", "diverged", "failed"]
STATES: tuple[State, ...] = ("running", "completed", "stopped", "diverged", "failed")
Decision: TypeAlias = Literal["continue", "stop"]


def _nan_for_null(metrics: dict[str, float | None]) -> dict[str, float | None]:
    if None not in metrics.values():
        return metrics
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def _nan_for_null_steps(steps: list[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
    return [(step, math.nan if loss is None else loss) for step, loss in steps]


# null is NaN; one call for a whole mapping or list: a journal holds millions of numbers
Metrics: TypeAlias = Annotated[
    dict[str, float],
    GetPydanticSchema(
        lambda _, schema_of: no_info_after_validator_function(
            _nan_for_null, schema_of(dict[str, float | None])
        )
    ),
]
Steps: TypeAlias = Annotated[
    list[tuple[int, float]],
    GetPydanticSchema(
        lambda _, schema_of: no_info_after_validator_function(
            _nan_for_null_steps, schema_of(list[tuple[int, float | None]])
        )
    ),
]
TrialNumber: TypeAlias = Annotated[int, Field(ge=0)]
Epoch: TypeAlias = Annotated[int, Field(ge=0)]


class BaseEvent(BaseModel):
    """``time``: seconds since 1970, by the clock of the machine that searches."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    time: float = 0.0


class Started(BaseEvent):
    """A run begins. ``spec`` is the whole experiment, as ``experiment.yaml`` holds it."""

    event: Literal["experiment"] = "experiment"
    spec: dict[str, Any]
    versions: dict[str, str]
    host: str


class Created(BaseEvent):
    """A configuration is about to be tried."""

    event: Literal["created"] = "created"
    trial: TrialNumber
    params: Params
    seed: int


class Report(BaseEvent):
    """A trial ended an epoch, and what was decided then. Non-finite numbers are null in JSON.

    ``steps``: (optimizer step, mean training loss of the last 50 steps).
    """

    event: Literal["report"] = "report"
    trial: TrialNumber
    epoch: Annotated[int, Field(ge=1)]
    metrics: Metrics
    decision: Decision
    steps: Steps = []


class CheckpointSaved(BaseEvent):
    """A trial can go on from here."""

    event: Literal["checkpoint"] = "checkpoint"
    trial: TrialNumber
    epoch: Epoch
    path: str


class Attempt(BaseEvent):
    """A trial's process died and is started again."""

    event: Literal["attempt"] = "attempt"
    trial: TrialNumber
    reason: str


class Finished(BaseEvent):
    """A trial ended. ``reason`` says why where that is not plain: a traceback, a lost process."""

    event: Literal["finished"] = "finished"
    trial: TrialNumber
    state: Literal["completed", "stopped", "diverged", "failed"]
    epoch: Epoch
    reason: str | None = None


class Resumed(BaseEvent):
    """A run goes on; ``budget`` holds the limits from now on, as in the experiment file."""

    event: Literal["resumed"] = "resumed"
    budget: dict[str, int | float] = {}


class Ended(BaseEvent):
    """The searching ended; ``reason`` names the spent limit, or is interrupted, space or error."""

    event: Literal["ended"] = "ended"
    reason: str


Event: TypeAlias = (
    Started | Created | Report | CheckpointSaved | Attempt | Finished | Resumed | Ended
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
