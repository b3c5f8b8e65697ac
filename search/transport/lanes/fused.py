"""The fused transport: many configurations train as one model in this process, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from search.control.view import View
from search.transport.inline import Inline, Trainer
from search.transport.lanes.counts import LANES, check_can_swim, lanes_for
from spaces.experiment import Experiment
from trainables.data.splits import Data
from trainables.shoal.pool import Pool
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.worker import Worker


class Fused(Inline):
    """Trains the configurations of each kind as a shoal, and those that can't swim one by one.

    Args:
        lanes: how many configurations are trained at once.
        slower: the kinds that are trained one by one, for that is faster.
    """

    engine = "fused"

    def __init__(self, lanes: int = LANES, slower: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._lanes = lanes
        self._slower = slower
        self._pool: Pool | None = None

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """As for ``Inline``.

        Raises:
            InputError: when the experiment asks for what only processes of their own can give, or
                no configuration of it can be part of a shoal.
        """
        check_can_swim(experiment)
        self._slots = lanes_for(experiment, self._lanes)
        try:
            with super().opened(experiment, view, data):
                yield
        finally:
            self._pool = None

    def _worker(self, data: Data | None) -> Trainer:
        if self._slots == 1:
            return super()._worker(data)
        assert data is not None
        self._pool = self._pool or Pool(data, self._slots, self._slower)
        return Worker(data, Here(), Echo(), lambda: self._is_interrupted, pool=self._pool)
