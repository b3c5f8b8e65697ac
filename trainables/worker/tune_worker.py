"""The worker as Ray Tune calls it: one Tune trial trains one configuration, epoch by epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ray import tune

from spaces.given import Packed
from spaces.project import restore_path
from trainables.data.splits import Data
from trainables.worker.output import Printing
from trainables.worker.tune_place import RayPlace
from trainables.worker.tune_ranks import Ranks
from trainables.worker.worker import Worker


class TuneWorker(tune.Trainable):  # type: ignore[misc]
    """Trains one configuration after the other; Tune calls it, epoch by epoch."""

    def setup(
        self,
        config: dict[str, Any],
        data: Data | None = None,
        functions: Mapping[str, Packed] = MappingProxyType({}),
        world_size: int = 1,
    ) -> None:
        """Take the first trial.

        Args:
            config: ``{"assignment": …}``.
            data: the dataset, from Ray's object store; None for the user's own code.
            functions: own code that the driver's program has handed over, see ``RayPlace``.
            world_size: how many processes train a trial; this one alone, or so many others.
        """
        restore_path()
        self._worker: Worker | Ranks
        if world_size == 1:
            self._worker = Worker(data, RayPlace(functions), Printing())
        else:
            self._worker = Ranks(world_size, data, functions)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        with contextlib.suppress(OSError):  # made by Tune for each trial; nothing is put into it
            Path(self.logdir).rmdir()
        self._worker.take(new_config["assignment"])
        return True

    def cleanup(self) -> None:
        """Close the user's generator, if there is one."""
        self._worker.close()

    def step(self) -> dict[str, Any]:
        """Train one epoch."""
        return {"outcome": self._worker.step()}
