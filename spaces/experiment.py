"""``Experiment``: all that an experiment file says, typed."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
)

from spaces.code import load_function
from spaces.depth import expanded
from spaces.metric import Metric
from spaces.parameters import MOST_PARAMETERS, Parameter, Value, as_float, check_plain, dump
from spaces.problems import shown, without_keys
from spaces.recorded import RecordedSpace
from spaces.resources import Checkpointing, Resources
from spaces.scheduler import Sampler, Scheduler
from spaces.sections import Location, Section, Size, named
from spaces.settings.any_dataset import AnyDataset
from spaces.settings.dataset import Dataset
from spaces.settings.fields import is_field, is_float_field, set_fields
from spaces.settings.model import MODELS, Mlp, Model
from spaces.settings.train import Train
from spaces.space import SearchSpace

_LONGEST_NAME = 100


class Budget(Section):
    """What ends a search, whichever comes first.

    ``trials`` and ``epochs`` count over the whole run, ``hours`` is the time spent searching;
    ``target``: a value of the metric; ``patience``: that many ended trials without a better one.
    """

    trials: Size | None = None
    hours: Annotated[float, Field(gt=0)] | None = None
    epochs: Size | None = None
    target: float | None = None
    patience: Size | None = None


class Confirm(Section):
    """How the best configurations are trained again under fresh seeds, see ``shoal confirm``.

    ``top``: so many of the best, and the baseline; ``seeds``: up to so many trainings each to
    choose by, and as many to measure the chosen one and the baseline; ``epochs``: what it may cost;
    ``prefer_small``: of those within one standard error of the best, the one with the fewest
    parameters wins (not the user's own code, whose parameters are not known).
    """

    top: Annotated[int, Field(ge=1, le=100)] = 5
    seeds: Annotated[int, Field(ge=2, le=100)] = 5
    epochs: Size | None = None
    prefer_small: bool = False

    def most_epochs(self, max_epochs: int, has_baseline: bool) -> int:
        """What it costs if no candidate is dropped early and none ends early."""
        chosen = self.top if self.top > 1 else 0
        return (chosen + 1 + has_baseline) * self.seeds * max_epochs


Engine: TypeAlias = Literal["auto", "tune", "inline", "fused"]


def _engine(value: Any) -> Any:
    """Earlier versions called it ``plain`` where Tune trains one configuration per trial."""
    return "tune" if value == "plain" else value


def _parse_train(value: Any, info: ValidationInfo) -> Train | dict[str, Any]:
    """Built-in trainables have a ``Train`` section; the user's own code takes any mapping."""
    if info.data.get("trainable") is None:
        return Train.model_validate(value)
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping, got {shown(value)}")
    check_plain(value)
    return value


_PARAMETERS = TypeAdapter(dict[str, Parameter])


def _parse_space(value: Any, info: ValidationInfo) -> dict[str, Parameter] | str:
    """Parameters by name, or the user's function as ``my_space.py:space``."""
    if isinstance(value, str):
        return value
    parameters = _PARAMETERS.validate_python(value)
    if len(parameters) > MOST_PARAMETERS:
        raise ValueError(f"takes at most {MOST_PARAMETERS} parameters, got {len(parameters)}")
    for name in parameters:
        if not 0 < len(name) <= _LONGEST_NAME:
            rule = f"the name of a parameter has 1 to {_LONGEST_NAME} characters"
            raise ValueError(f"{rule}, got {shown(name)}")
    if info.data.get("trainable") is not None:
        return parameters
    return {name: as_float(p) if is_float_field(name) else p for name, p in parameters.items()}


def _dump_space(space: dict[str, Parameter] | str) -> Any:
    return space if isinstance(space, str) else {name: dump(p) for name, p in space.items()}


def _complete_metric(metric: Metric, info: ValidationInfo) -> Metric:
    dataset = info.data.get("dataset")
    return metric.complete(is_regression=dataset is not None and dataset.is_regression)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        rule = "must have 1 to 100 letters (a to z), digits, dots, underscores and hyphens"
        raise ValueError(f"{rule}, a letter or a digit first, got {shown(name)}")
    return name


class Experiment(Section):
    """One search, as a file states it; ``load_experiment`` reads and checks one."""

    name: Annotated[str, AfterValidator(_check_name)]
    question: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    dataset: AnyDataset = Dataset(name="digits")
    trainable: str | None = None
    isolate: bool = False
    model: Model = Mlp()
    train: Annotated[Train | dict[str, Any], PlainValidator(_parse_train)] = Field(
        default={}, validate_default=True
    )
    space: Annotated[
        dict[str, Parameter] | str, PlainValidator(_parse_space), PlainSerializer(_dump_space)
    ] = Field(default={})
    baseline: dict[str, Value] | None = None
    metric: Annotated[Metric, BeforeValidator(named), AfterValidator(_complete_metric)] = Field(
        default=Metric(), validate_default=True
    )
    sampler: Annotated[Sampler, BeforeValidator(named)] = Sampler()
    scheduler: Annotated[Scheduler, BeforeValidator(named)] = Scheduler()
    budget: Budget = Budget()
    resources: Resources = Resources()
    checkpoint: Checkpointing = Checkpointing()
    confirm: Confirm | None = None
    storage: Location | None = None
    diagnostics: bool = False
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    max_failures: Annotated[int, Field(ge=0)] = 2
    epoch_timeout_seconds: Annotated[float, Field(gt=0, le=10**9)] | None = None
    engine: Annotated[Engine, BeforeValidator(_engine)] = "auto"

    @functools.cached_property
    def search_space(self) -> SearchSpace:
        """What varies, ready to draw from."""
        if isinstance(self.space, str):
            return SearchSpace(load_function(self.space))
        is_own_code = self.trainable is not None
        return SearchSpace(self.space if is_own_code else expanded(self.space, self.model))

    def only_read(self) -> Experiment:
        """The same for commands that only read a run: they never import a function as space."""
        copy = self.model_copy()
        if isinstance(self.space, str):
            copy.search_space = RecordedSpace()
        return copy

    def plain(self) -> dict[str, Any]:
        """The experiment as plain data, every default spelled out; a file may hold just this."""
        unused = {"model", "dataset"} if self.trainable is not None else set()
        return self.model_dump(mode="json", exclude=unused)

    def shown(self) -> dict[str, Any]:
        """The experiment as plain data, without the keys that a storage's URI may hold."""
        return {**self.plain(), "storage": self.storage and without_keys(self.storage)}

    def settings(
        self, params: Mapping[str, Any], returned: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Mlp, Train]:
        """The model and optimisation settings of one configuration of a built-in trainable.

        Args:
            params: its parameters.
            returned: by a space that is a function. Where it is not empty, the names of parameters
                need not be those of fields: the function may draw them for itself.

        Raises:
            ValueError: when the parameters do not make valid settings.
        """
        assert isinstance(self.train, Train)
        merged = {"model": self.model.model_dump(), "train": self.train.model_dump()}
        fields = [
            field
            for name, value in params.items()
            for field in self.search_space.settings_of(name, value).items()
            if not returned or is_field(field[0])
        ]
        fields += returned.items()
        for name, value in fields:
            if name == "family":
                _adopt_family(merged, self.model, value)
        set_fields(merged, fields)
        sections = _Settings.model_validate(merged)
        return sections.model, sections.train

    def free_settings(
        self, params: Mapping[str, Any], returned: Mapping[str, Any] = MappingProxyType({})
    ) -> dict[str, Any]:
        """What the user's own code is given: the fixed values of ``train``, then the params.

        Last comes what a space that is a function has returned.
        """
        assert isinstance(self.train, dict)
        settings = dict(self.train)
        for name, value in params.items():
            settings.update(self.search_space.settings_of(name, value))
        return {**settings, **returned}


class _Settings(Section):
    model: Model
    train: Train


def _adopt_family(merged: dict[str, Any], base: Mlp, family: Any) -> None:
    """When a choice changes the family, keep what the file set and the new family has, too."""
    if isinstance(family, str) and family in MODELS and family != base.family:
        defaults, kept = MODELS[family]().model_dump(), base.model_dump(exclude_unset=True)
        merged["model"] = {key: kept.get(key, held) for key, held in defaults.items()}
