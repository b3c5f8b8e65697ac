"""What training needs, seen to before anything is started."""

from __future__ import annotations

from spaces.experiment import Experiment
from spaces.problems import InputError, Problem
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.models.families import empty_model


def prepare(experiment: Experiment) -> Data | None:
    """Load the data and see that the model fits it, before anything is started.

    Raises:
        InputError: when the data is not there, or the model does not fit.
    """
    if experiment.trainable is not None:
        return None
    data = load_data(experiment.dataset, experiment.seed)
    tried = [experiment.baseline] if experiment.baseline is not None else []
    for params in [*tried, *experiment.search_space.samples(3, experiment.seed)]:
        config = resolve(experiment, params, seed=0)
        assert isinstance(config, TrainConfig)
        check_fits(config, data)
    return data


def check_fits(config: TrainConfig, data: Data) -> None:
    """See that a model takes the data; none is made.

    Raises:
        InputError: when it doesn't.
    """
    try:
        empty_model(config.model, data.input_shape, data.outputs, seed=0)
    except ValueError as error:
        raise InputError([Problem("model", str(error))]) from None
