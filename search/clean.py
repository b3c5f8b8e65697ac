"""``shoal clean``: the checkpoints that nothing needs any more."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.run import RunFolder
from analysis.trials import Trials
from spaces.experiment import Experiment
from trainables.checkpoints import Checkpoints


@dataclass(frozen=True)
class Cleaned:
    """``megabytes`` freed; of how many trials the checkpoints were ``removed``, or ``kept``."""

    megabytes: float
    removed: int
    kept: int


def clean_checkpoints(
    folder: RunFolder, experiment: Experiment, trials: Trials, top: int
) -> Cleaned:
    """Remove the checkpoints of ended trials, but for the best.

    An unfinished trial needs its own to go on, and an export the best one's. Extending a run never
    goes back to a trial that ended.

    Args:
        folder: the run; nobody may be searching in it.
        experiment: its experiment.
        trials: its trials.
        top: of so many best trials the checkpoints are kept.
    """
    needed = {trial.number for trial in trials.ranked(experiment.metric)[:top]}
    needed |= trials.running.keys()
    place = folder.checkpoints(experiment.storage)
    freed = [Checkpoints(place, number).delete() for number in trials.by_number.keys() - needed]
    return Cleaned(sum(freed) / 1e6, sum(size > 0 for size in freed), len(needed))
