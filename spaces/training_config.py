"""The resolved settings of one training, from which it can be repeated anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from spaces.experiment import Experiment
from spaces.metric import Metric
from spaces.parameters import Settings
from spaces.resources import MOST_THREADS
from spaces.sections import Section, Size, parse_section
from spaces.settings.any_dataset import AnyDataset, file_fields
from spaces.settings.model import Model
from spaces.settings.train import Train

Threads = Annotated[int, Field(ge=1, le=MOST_THREADS)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Device = Literal["cpu", "auto"]


class TrainConfig(Section):
    """One training of a built-in model: its outcome is a function of this alone (on one CPU type).

    ``epochs`` are trained, of ``max_epochs`` for which the schedule is laid out. ``seed`` drives
    initialisation, batch order and dropout; ``split_seed`` the cut of the validation split, the
    same for every trial of a search; ``threads`` are torch's CPU threads; ``device`` is cpu, or
    auto: a GPU where there is one for it. ``diagnostics``: every report says how signal and
    gradient travel through the layers. ``final``: it is trained on the training and the validation
    split together, and no report has a validation score.
    """

    dataset: AnyDataset
    model: Model
    train: Train
    metric: Metric
    epochs: Size
    max_epochs: Size
    seed: Seed
    split_seed: Seed
    threads: Threads
    device: Device = "auto"
    diagnostics: bool = False
    final: bool = False


class CodeConfig(Section):
    """One run of the user's own training code, ``trainable`` (``file.py:function``)."""

    trainable: str
    settings: Settings
    metric: Metric
    epochs: Size
    max_epochs: Size
    seed: Seed
    threads: Threads
    device: Device = "auto"


AnyConfig = TrainConfig | CodeConfig


def resolve(
    experiment: Experiment,
    params: Mapping[str, Any],
    seed: int,
    returned: Mapping[str, Any] | None = None,
) -> AnyConfig:
    """The settings of one training: the experiment's fixed ones, overlaid with ``params``.

    Args:
        experiment: whose configuration it is.
        params: its parameters.
        seed: of the training.
        returned: the settings that a space that is a function returned with them, as a trial has
            them; left out: the function is asked, for a configuration that was not tried yet.

    Raises:
        ValueError: when the parameters do not make valid settings.
    """
    if returned is None:
        returned = experiment.search_space.returned_for(params)
    metric, max_epochs = experiment.metric, experiment.scheduler.max_epochs
    threads = max(1, int(experiment.resources.cpus))
    device: Device = "cpu" if experiment.resources.gpus == 0 else "auto"
    if experiment.trainable is not None:
        return CodeConfig(
            trainable=experiment.trainable,
            settings=experiment.free_settings(params, returned),
            metric=metric,
            epochs=max_epochs,
            max_epochs=max_epochs,
            seed=seed,
            threads=threads,
            device=device,
        )
    model, train = experiment.settings(params, returned)
    return TrainConfig(
        dataset=experiment.dataset,
        model=model,
        train=train,
        metric=metric,
        epochs=max_epochs,
        max_epochs=max_epochs,
        seed=seed,
        split_seed=experiment.seed,
        threads=threads,
        device=device,
        diagnostics=experiment.diagnostics,
    )


def identity(config: AnyConfig) -> str:
    """A hash of what a training is; where it runs, and on how many threads, does not count.

    Nor do settings with their defaults, so that a version with more settings has the same.
    """
    where = {"trainable", "threads", "device", "epochs"}
    data = config.model_dump(mode="json", exclude=where, exclude_defaults=True)
    if isinstance(config, TrainConfig):
        for place in file_fields(config.dataset):
            data["dataset"].pop(place, None)
        data["model"]["family"] = config.model.family  # each family has its own name as default
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def parse_config(data: Mapping[str, Any]) -> AnyConfig:
    """Read a configuration back from plain data.

    Raises:
        InputError: with every mistake found.
    """
    if "trainable" in data:
        return parse_section(CodeConfig, data)
    return parse_section(TrainConfig, data)
