"""A configuration to measure before any trial has begun."""

from __future__ import annotations

from spaces.experiment import Experiment
from spaces.seeds import derive_seed
from spaces.training_config import AnyConfig, resolve

_DRAWN = 10  # configurations, of which one makes valid settings


def first_config(experiment: Experiment) -> AnyConfig | None:
    """The baseline's settings; without one, the first that are valid of some drawn at random."""
    seed = derive_seed(experiment.seed, "trial", 0)
    if experiment.baseline is not None:
        return resolve(experiment, experiment.baseline, seed)
    for params in experiment.search_space.samples(_DRAWN, experiment.seed):
        try:
            return resolve(experiment, params, seed)
        except ValueError:
            continue
    return None
