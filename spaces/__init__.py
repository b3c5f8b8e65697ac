"""What may vary: parameters, search spaces and experiment files."""

from spaces.experiment import Experiment
from spaces.files import load_experiment, save_experiment, studies
from spaces.problems import InputError, Problem
from spaces.space import SearchSpace

__all__ = [
    "Experiment",
    "InputError",
    "Problem",
    "SearchSpace",
    "load_experiment",
    "save_experiment",
    "studies",
]
