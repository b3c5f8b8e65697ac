"""What settings ask of the data, checked when both are there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spaces.problems import InputError, Problem, shown
from spaces.settings.train import FOR_CLASSES, FOR_IMAGES, Train
from spaces.training_config import TrainConfig
from trainables.data.splits import Data
from trainables.ranks import Rank


def check_requirements(config: TrainConfig, data: Data, rank: Rank) -> None:
    """See that the settings fit the data, and the processes that train.

    Raises:
        InputError: with every setting that does not.
    """
    problems = [*_setting_problems(config.train, data), *_metric_problems(config, data)]
    if config.train.compile and rank.world_size > 1:
        message = f"is for trials of one worker, and this one has {rank.world_size}"
        problems.append(Problem("train.compile", message))
    if problems:
        raise InputError(problems)


def _setting_problems(settings: Train, data: Data) -> Iterator[Problem]:
    changed = settings.changed
    if not data.class_names:
        for name in sorted(changed & FOR_CLASSES):
            yield Problem(f"train.{name}", "is for classification, and this is a regression")
    if len(data.input_shape) != 3:
        for name in sorted(changed & FOR_IMAGES):
            message = f"is for images, and the inputs are of shape {data.input_shape}"
            yield Problem(f"train.{name}", message)
    else:
        side = min(data.input_shape[1:])
        if settings.crop >= side:
            message = f"must be below the side of the images, {side}, got {settings.crop}"
            yield Problem("train.crop", message)
        if settings.cutout > side:
            message = f"must be at most the side of the images, {side}, got {settings.cutout}"
            yield Problem("train.cutout", message)
    weights = settings.class_weights
    if data.class_names and isinstance(weights, list) and len(weights) != data.outputs:
        message = f"needs one number for each of the {data.outputs} classes, got {shown(weights)}"
        yield Problem("train.class_weights", message)


def _metric_problems(config: TrainConfig, data: Data) -> Iterator[Problem]:
    if config.metric.name != "val_auc" or config.final:
        return
    if len(data.class_names) != 2:
        message = f"val_auc is for two classes, and there are {len(data.class_names)}"
        yield Problem("metric.name", message)
    elif len(np.unique(data.validation.targets)) < 2:
        yield Problem("metric.name", "val_auc needs both classes in the validation split")
