"""Configurations to look at before any trial has begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from spaces.experiment import Experiment
from spaces.seeds import derive_seed
from spaces.training_config import AnyConfig, resolve

_DRAWN = 10  # configurations, of which some make valid settings


def first_config(experiment: Experiment) -> AnyConfig | None:
    """The baseline's settings; without one, the first that are valid of some drawn at random."""
    return next(first_configs(experiment), None)


def first_configs(experiment: Experiment, drawn: int = _DRAWN) -> Iterator[AnyConfig]:
    """The baseline's settings, and those that are valid of some drawn at random."""
    seed = derive_seed(experiment.seed, "trial", 0)
    if experiment.baseline is not None:
        yield resolve(experiment, experiment.baseline, seed)
    for params in experiment.search_space.samples(drawn, experiment.seed):
        with suppress(ValueError):
            yield resolve(experiment, params, seed)
