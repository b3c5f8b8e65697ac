"""What is made from the events of a run, and can be made again at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from analysis.record.events import Event
from analysis.record.folder import RunFolder, params_check
from analysis.record.journal import replay
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from analysis.views.optuna_log import OptunaLog
from analysis.views.tensorboard import TensorBoardFiles
from spaces.experiment import Experiment


class Projection(Protocol):
    """A view of a run that events are written on into: TensorBoard files, optuna.log."""

    def write(self, event: Event, trials: Trials) -> None:
        """Take one event in; ``trials`` already has it."""

    def close(self) -> None:
        """Bring everything to its place."""


def open_projections(folder: RunFolder, experiment: Experiment) -> list[Projection]:
    """The projections of a run, made afresh from its journal; they take further events in.

    Raises:
        InputError: when the journal is damaged, or does not fit the experiment.
        OSError: when they can't be written.
    """
    projections: list[Projection] = [
        TensorBoardFiles(folder.tensorboard, experiment, folder),
        OptunaLog(folder.optuna_log, experiment),
    ]
    trials, reruns = Trials(), Reruns()
    check = params_check(experiment)
    takers = (trials.apply, check, reruns.apply, _written_on(projections, trials))
    replay(folder.journal_file, *takers)
    return projections


def _written_on(projections: Sequence[Projection], trials: Trials) -> Callable[[Event], None]:
    def write(event: Event) -> None:
        for projection in projections:
            projection.write(event, trials)

    return write
