"""What is made from the events of a run, and can be made again at any time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from analysis.events import Event
from analysis.run import Trials


class Projection(Protocol):
    """A view of a run that events are written on into: TensorBoard files, optuna.log."""

    def write(self, event: Event, trials: Trials) -> None:
        """Take one event in; ``trials`` already has it."""

    def close(self) -> None:
        """Bring everything to its place."""


def project(events: Iterable[Event], projections: Sequence[Projection]) -> None:
    """Write the events of a journal on into projections that were just made."""
    trials = Trials()
    for event in events:
        trials.apply(event)
        for projection in projections:
            projection.write(event, trials)
