"""The events of a run: what the journal holds, one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from analysis.record.gpu_load import Load
from analysis.record.numbers import Number
from analysis.record.surroundings import Difference, Fingerprint, Surroundings, Text
from spaces.parameters import Params, Settings
from spaces.recorded import Distributions, check_drawn

State: TypeAlias = Literal["running", "completed", "stopped", "diverged", "failed"]
STATES: tuple[State, ...] = ("running", "completed", "stopped", "diverged", "failed")
Decision: TypeAlias = Literal["continue", "pause", "stop"]
Purpose: TypeAlias = Literal["choose", "measure", "audit"]
RaceRule: TypeAlias = Literal["bounds", "posterior"]

_LATEST = 1e11  # seconds since 1970: before the year 5139, which every calendar can tell
Step: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
TrialNumber: TypeAlias = Annotated[int, Field(ge=0)]
Epoch: TypeAlias = Annotated[int, Field(ge=0)]


class BaseEvent(BaseModel):
    """``time``: seconds since 1970, by the clock of the machine that searches."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")

    time: Annotated[float, Field(ge=0, le=_LATEST)] = 0.0


class Started(BaseEvent):
    """A run begins.

    ``spec``: the whole experiment, as ``experiment.yaml`` holds it. ``inputs``: what built-in
    models of it take and give, for bundles; ``checkpoints``: where they lie, if the experiment
    names a storage; ``split``: the fingerprints of their data; ``code``:
    those of the user's own; ``directory``: where it was started (runs of earlier versions have
    none of these). ``divergence``: what decides that a trial has diverged, beside the metric of the
    search: ``any_loss`` whose name ends so (runs of earlier versions), or only the
    ``known_losses``, train_loss and val_loss.
    """

    event: Literal["experiment"] = "experiment"
    spec: dict[str, Any]
    versions: dict[str, str]
    host: str
    inputs: dict[str, Any] | None = None
    split: dict[str, Fingerprint] | None = None
    code: dict[Text, str] | None = None
    directory: Text | None = None
    checkpoints: Text | None = None
    divergence: Literal["any_loss", "known_losses"] = "any_loss"

    @property
    def surroundings(self) -> Surroundings:
        """What its results depend on beside the experiment."""
        return Surroundings(
            versions=self.versions,
            host=self.host,
            inputs=self.inputs,
            split=self.split,
            code=self.code,
        )


class Created(BaseEvent):
    """A configuration is about to be tried.

    ``distributions``: what a space that is a function drew each of its parameters from, in
    Optuna's own JSON (None for other spaces, for reruns, and in runs of earlier versions).
    ``settings``: what such a function returned, which belongs to the configuration.
    """

    event: Literal["created"] = "created"
    trial: TrialNumber
    params: Params
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    distributions: Distributions | None = None
    settings: Settings = {}

    model_config = ConfigDict(allow_inf_nan=False)

    @model_validator(mode="after")
    def _fits(self) -> Created:
        if self.distributions is not None:
            check_drawn(self.params, self.distributions)
        return self


class Report(BaseEvent):
    """A trial ended an epoch, and what was decided then. Non-finite numbers are null in JSON.

    ``pause``: it waits with its checkpoint, and may be promoted later.
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
    """A trial can go on from here. Only earlier versions wrote it; nothing follows from it."""

    event: Literal["checkpoint"] = "checkpoint"
    trial: TrialNumber
    epoch: Epoch
    path: str


class Promoted(BaseEvent):
    """A trial that waited goes on."""

    event: Literal["promoted"] = "promoted"
    trial: TrialNumber


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


class Changed(BaseEvent):
    """What the run depends on is not as it was: ``now`` holds from here on.

    ``differences``: from how it was when the run began; none where all is again as it was then.
    """

    event: Literal["changed"] = "changed"
    differences: list[Difference]
    now: Surroundings


class Moved(BaseEvent):
    """The user's own code lies elsewhere from now on, as ``file.py:function``; None: as before.

    ``directory``: in which it runs.
    """

    event: Literal["moved"] = "moved"
    trainable: Text | None = None
    space: Text | None = None
    directory: Text | None = None


class Shared(BaseEvent):
    """It was measured how many ``trials`` share a GPU from now on, on one kind of ``machine``.

    ``reason``: why no more; ``loads``: the measurements.
    """

    event: Literal["shared"] = "shared"
    trials: Annotated[int, Field(ge=1)]
    machine: Text
    reason: Text
    loads: list[Load] = []


class Ended(BaseEvent):
    """The searching ended; ``reason`` names the spent limit, or is interrupted, space or error."""

    event: Literal["ended"] = "ended"
    reason: str


Training: TypeAlias = Created | Report | CheckpointSaved | Promoted | Attempt | Finished


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
    configurations were raced; ``most_seeds``: how many seeds each could get. ``rule``: by which
    the race dropped candidates; ``prefer_small``: whether ties went to the model with the fewest
    parameters (runs of earlier versions, which have neither, did both by the defaults).
    """

    event: Literal["confirmed"] = "confirmed"
    winner: TrialNumber | None
    params: Params | None = None
    seeds: list[int] = []
    scores: list[Number] = []
    baseline_scores: list[Number] = []
    candidates: list[TrialNumber]
    most_seeds: Annotated[int, Field(ge=2)]
    rule: RaceRule = "bounds"
    prefer_small: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Confirmed:
        if self.winner is not None and self.winner not in self.candidates:
            raise ValueError("the winner must be one of the candidates")
        if len(self.scores) != len(self.seeds):
            raise ValueError("there must be as many scores as seeds")
        return self


class Tested(BaseEvent):
    """The test split was read for a configuration; never again for the same one.

    ``scores``: of ``metric``, one for each of the ``seeds`` that it was measured with;
    ``samples``: how many the test split has (runs of earlier versions have not noted it).
    """

    event: Literal["tested"] = "tested"
    trial: TrialNumber
    metric: str
    seeds: list[int]
    scores: list[Number]
    samples: Annotated[int, Field(ge=1)] | None = None

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
    | Promoted
    | Attempt
    | Finished
    | Resumed
    | Changed
    | Moved
    | Shared
    | Ended
    | Rerun
    | Confirmed
    | Tested
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
