"""How many configurations train as one model, and whether those of an experiment can."""

from __future__ import annotations

from search.transport.first_config import first_configs
from spaces.experiment import Experiment
from spaces.problems import InputError, Problem
from trainables.shoal.kind import unfit

LANES = 16
_TRIED = {"cpu": (LANES,), "cuda": (LANES, 32, 64, 128)}  # a CPU gains nothing from more


def lanes_for(experiment: Experiment, most: int) -> int:
    """How many of an experiment's trials train at once: no more than a third of them.

    So most of them are proposed when something is known of others.
    """
    trials = experiment.budget.trials
    return most if trials is None else max(1, min(most, trials // 3))


def tried_lanes(experiment: Experiment, device: str) -> list[int]:
    """How many trials may train at once, in ascending order: 1 means one by one.

    Args:
        experiment: whose trials they are.
        device: ``cpu`` or ``cuda``.
    """
    return sorted({lanes_for(experiment, most) for most in _TRIED[device]})


def check_can_swim(experiment: Experiment) -> None:
    """See that the trials of an experiment may be trained as one model.

    Raises:
        InputError: when none of some configurations may, with what keeps the first one out.
    """
    configs = list(first_configs(experiment))
    if not any(unfit(config) == [] for config in configs):
        reasons = unfit(configs[0]) if configs else ["the space gives no valid configuration"]
        rule = "can't be trained as one model with others; engine: tune or inline can do it"
        raise InputError([Problem("engine: fused", f"{reason} {rule}") for reason in reasons])
