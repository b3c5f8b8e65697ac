"""The events of a run: what the journal holds, one JSON object a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import (
    no_info_after_validator_function,
    none_schema,
    simple_ser_schema,
    union_schema,
)
from typing_extensions import TypedDict

from spaces.parameters import Params

State: TypeAlias = Literal["running", "completed", "stopped", "diverged", "failed"]
STATES: tuple[State, ...] = ("running", "completed", "stopped", "diverged", "failed")
Decision: TypeAlias = Literal["continue", "stop"]
Purpose: TypeAlias = Literal["choose", "measure", "audit"]

_LATEST = 1e11  # seconds since 1970: before the year 5139, which every calendar can tell


def _number_schema(float_schema: CoreSchema) -> CoreSchema:
    """A float for which null stands where it is NaN; no Python code runs for any other value."""
    nan = no_info_after_validator_function(lambda _: math.nan, none_schema())
    return union_schema(
        [float_schema, nan],
        mode="left_to_right",
        custom_error_type="float_type",
        serialization=simple_ser_schema("float"),
    )


Number: TypeAlias = Annotated[
    float, GetPydanticSchema(lambda _, schema_of: _number_schema(schema_of(float)))
]
Step: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
TrialNumber: TypeAlias = Annotated[int, Field(ge=0)]
Epoch: TypeAlias = Annotated[int, Field(ge=0)]


def _writable(text: Any) -> Any:
    """The names of files may hold what no UTF-8 text can; it is written as an escape."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


Text: TypeAlias = Annotated[str, BeforeValidator(_writable)]


class BaseEvent(BaseModel):
    """``time``: seconds since 1970, by the clock of the machine that searches."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    time: Annotated[float, Field(ge=0, le=_LATEST)] = 0.0


class Fingerprint(TypedDict):
    """By which samples a split is known."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    samples: int
    sha256: str


class Started(BaseEvent):
    """A run begins.

    ``spec``: the whole experiment, as ``experiment.yaml`` holds it. ``inputs``: what built-in
    models of it take and give, for bundles; ``split``: the fingerprints of their data (runs of
    earlier versions have neither). ``divergence``: what decides that a trial has diverged, beside
    the metric of the search: ``any_loss`` whose name ends so (runs of earlier versions), or only
    the ``known_losses``, train_loss and val_loss.
    """

    event: Literal["experiment"] = "experiment"
    spec: dict[str, Any]
    versions: dict[str, str]
    host: str
    inputs: dict[str, Any] | None = None
    split: dict[str, Fingerprint] | None = None
    divergence: Literal["any_loss", "known_losses"] = "any_loss"


class Created(BaseEvent):
    """A configuration is about to be tried."""

    event: Literal["created"] = "created"
    trial: TrialNumber
    params: Params
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    model_config = ConfigDict(allow_inf_nan=False)


class Report(BaseEvent):
    """A trial ended an epoch, and what was decided then. Non-finite numbers are null in JSON.

    ``steps``: (optimizer step, mean training loss of the last 50 steps). ``last``: the training
    ends with it, of its own accord.
    """

    event: Literal["report"] = "report"
    trial: TrialNumber
    epoch: Annotated[int, Field(ge=1)]
    metrics: dict[str, Number]
    decision: Decision
    steps: list[tuple[Step, Number]] = []
    last: bool = False


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
    reason: Text


class Finished(BaseEvent):
    """A trial ended. ``reason`` says why where that is not plain: a traceback, a lost process."""

    event: Literal["finished"] = "finished"
    trial: TrialNumber
    state: Literal["completed", "stopped", "diverged", "failed"]
    epoch: Epoch
    reason: Text | None = None


class Resumed(BaseEvent):
    """A run goes on; ``budget`` holds the limits from now on, as in the experiment file."""

    event: Literal["resumed"] = "resumed"
    budget: dict[str, int | float] = {}


class Ended(BaseEvent):
    """The searching ended; ``reason`` names the spent limit, or is interrupted, space or error."""

    event: Literal["ended"] = "ended"
    reason: str


Training: TypeAlias = Created | Report | CheckpointSaved | Attempt | Finished


@dataclass(frozen=True)
class Job:
    """A training of a configuration that was tried before.

    ``trial``: whose configuration. ``purpose``: to ``choose`` among the best, to ``measure`` the
    chosen one and the baseline, or to ``audit`` that a trial was stopped. ``index``: which of its
    trainings for that purpose, from 0.
    """

    trial: int
    purpose: Purpose
    index: int


class Rerun(BaseEvent):
    """Something happens to a rerun; ``what`` it is, as for a trial.

    Reruns have numbers of their own, from 0, so that they change nothing about the search.
    """

    event: Literal["rerun"] = "rerun"
    trial: TrialNumber
    purpose: Purpose
    index: Annotated[int, Field(ge=0)]
    what: Annotated[Training, Field(discriminator="event")]

    @property
    def job(self) -> Job:
        return Job(self.trial, self.purpose, self.index)


class Confirmed(BaseEvent):
    """The best configurations were trained again, and one of them was chosen and measured.

    ``winner``: the trial whose configuration it is, None where each was lost with some seed; its
    ``params``, and the ``seeds`` and ``scores`` by which it was measured, those of the
    ``baseline_scores`` likewise (null: diverged or failed). ``candidates``: the trials whose
    configurations were raced; ``most_seeds``: how many seeds each could get.
    """

    event: Literal["confirmed"] = "confirmed"
    winner: TrialNumber | None
    params: Params | None = None
    seeds: list[int] = []
    scores: list[Number] = []
    baseline_scores: list[Number] = []
    candidates: list[TrialNumber]
    most_seeds: Annotated[int, Field(ge=2)]

    @model_validator(mode="after")
    def _fits(self) -> Confirmed:
        if self.winner is not None and self.winner not in self.candidates:
            raise ValueError("the winner must be one of the candidates")
        if len(self.scores) != len(self.seeds):
            raise ValueError("there must be as many scores as seeds")
        return self


class Tested(BaseEvent):
    """The test split was read for a configuration; never again for the same one.

    ``scores``: of ``metric``, one for each of the ``seeds`` that it was measured with.
    """

    event: Literal["tested"] = "tested"
    trial: TrialNumber
    metric: str
    seeds: list[int]
    scores: list[Number]

    @model_validator(mode="after")
    def _fits(self) -> Tested:
        if len(self.scores) != len(self.seeds):
            raise ValueError("there must be as many scores as seeds")
        return self


Event: TypeAlias = (
    Started
    | Created
    | Report
    | CheckpointSaved
    | Attempt
    | Finished
    | Resumed
    | Ended
    | Rerun
    | Confirmed
    | Tested
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
