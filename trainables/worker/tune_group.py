"""A lane group as Ray Tune calls it: one Tune trial trains many configurations as one model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune

from spaces.project import restore_path
from trainables.data.splits import Data
from trainables.shoal.pool import Pool
from trainables.worker.group import LaneGroup
from trainables.worker.messages import Assignment
from trainables.worker.output import Echo
from trainables.worker.tune_place import RayPlace
from trainables.worker.worker import Worker


class TuneGroup(tune.Trainable):  # type: ignore[misc]
    """Trains several configurations at a time; Tune calls it, epoch by epoch."""

    def setup(self, config: dict[str, Any], data: Data, lanes: int, slower: frozenset[str]) -> None:
        """Take the first trials.

        Args:
            config: ``{"assignments": …}``.
            data: the dataset, from Ray's object store.
            lanes: how many configurations there are at most; one trains as by itself.
            slower: the kinds that are trained one by one.
        """
        restore_path()
        pool = Pool(data, lanes, slower) if lanes > 1 else None
        self._group = LaneGroup(lambda: Worker(data, RayPlace(), Echo(), pool=pool))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin anew, with other trials."""
        with contextlib.suppress(OSError):  # made by Tune for each trial; nothing is put into it
            Path(self.logdir).rmdir()
        self._fault: Exception | None = None
        self._group.close()
        self._group.change((), new_config["assignments"])
        return True

    def change(self, dropped: Sequence[int], taken: Sequence[Assignment]) -> None:
        """Let trials go, and take others; the driver calls it between two epochs."""
        try:
            self._group.change(dropped, taken)
        except Exception as error:  # nobody waits for what this returns
            self._fault = error

    def cleanup(self) -> None:
        """End the trainings, whose last states are saved."""
        self._group.close()

    def step(self) -> dict[str, Any]:
        """Train an epoch of each.

        Raises:
            Exception: what a change of the trials failed with; the process starts again.
        """
        if self._fault is not None:
            raise self._fault
        return {"outcomes": self._group.step()}
