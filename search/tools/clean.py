"""``shoal clean``: the checkpoints that nothing needs any more."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.record.folder import RunFolder
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from spaces.experiment import Experiment
from trainables.checkpoints.checkpoints import Checkpoints


@dataclass(frozen=True)
class Cleaned:
    """``megabytes`` freed; of how many trials the checkpoints were ``removed``, or ``kept``."""

    megabytes: float
    removed: int
    kept: int


def clean_checkpoints(
    folder: RunFolder,
    experiment: Experiment,
    trials: Trials,
    reruns: Reruns,
    top: int,
    dry_run: bool = False,
) -> Cleaned:
    """Remove the checkpoints of ended trials and reruns, but for the best.

    An unfinished one needs its own to go on, and an export the best one's, or those by which a
    winner and the baseline are measured. Extending a run never goes back to a trial that ended.

    Args:
        folder: the run; nobody may be searching in it, unless nothing is removed.
        experiment: its experiment.
        trials: its trials.
        reruns: its reruns.
        top: of so many best trials the checkpoints are kept.
        dry_run: remove nothing; say only what would be.
    """
    storage = experiment.storage
    needed = {trial.number for trial in trials.ranked(experiment.metric)[:top]}
    freed, kept = _delete_others(folder.checkpoints(storage), trials, needed, dry_run)
    measured = {number for number, job in reruns.jobs.items() if job.purpose == "measure"}
    place = folder.of_reruns.checkpoints(storage)
    freed_of_reruns, kept_reruns = _delete_others(place, reruns.trials, measured, dry_run)
    freed += freed_of_reruns
    return Cleaned(sum(freed) / 1e6, sum(size > 0 for size in freed), kept + kept_reruns)


def _delete_others(
    place: str, trials: Trials, needed: set[int], dry_run: bool
) -> tuple[list[int], int]:
    """Delete what neither the needed ones nor running ones have; bytes of each, how many kept."""
    kept = needed | trials.running.keys()
    others = [Checkpoints(place, number) for number in trials.by_number.keys() - kept]
    return [held.size() if dry_run else held.delete() for held in others], len(kept)
