"""The fused transport: many configurations train as one model in this process, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.control.view import View
from search.transport.first_config import first_configs
from search.transport.inline import Inline, Trainer
from spaces.experiment import Experiment
from spaces.problems import InputError, Problem
from trainables.data.splits import Data
from trainables.shoal.kind import unfit
from trainables.shoal.pool import Pool
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.worker import Worker

LANES = 16


class Fused(Inline):
    """Trains the configurations of each kind as a shoal, and those that can't swim one by one.

    Args:
        lanes: how many configurations are trained at once.
    """

    engine = "fused"

    def __init__(self, lanes: int = LANES) -> None:
        super().__init__()
        self._lanes = lanes
        self._pool: Pool | None = None

    @contextmanager
    def opened(self, experiment: Experiment, view: View) -> Iterator[None]:
        """As for ``Inline``.

        Raises:
            InputError: when the experiment asks for what only processes of their own can give, or
                no configuration of it can be part of a shoal.
        """
        check_can_swim(experiment)
        self._slots = lanes_for(experiment, self._lanes)
        try:
            with super().opened(experiment, view):
                yield
        finally:
            self._pool = None

    def _worker(self, data: Data | None) -> Trainer:
        if self._slots == 1:
            return super()._worker(data)
        assert data is not None
        self._pool = self._pool or Pool(data, self._slots)
        return Worker(data, Here(), Echo(), lambda: self._is_interrupted, pool=self._pool)


def lanes_for(experiment: Experiment, most: int) -> int:
    """How many of an experiment's trials train at once: no more than a third of them.

    So most of them are proposed when something is known of others.
    """
    trials = experiment.budget.trials
    return most if trials is None else max(1, min(most, trials // 3))


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
