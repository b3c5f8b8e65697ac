"""What somebody should know whose own code saves nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from analysis.record.folder import open_run
from trainables.checkpoints.checkpoints import Checkpoints, StorageError


def unsaved_note(run: Path) -> str | None:
    """A line for the end of a search in which the best trial's code saved neither state nor files.

    Args:
        run: the run's folder.

    Returns:
        None where it saved something, or has no checkpoint that could tell.
    """
    folder, experiment, trials = open_run(run)
    best = trials.best(experiment.metric)
    if experiment.trainable is None or best is None:
        return None
    held = None
    with suppress(StorageError):  # the search itself did not fail
        held = Checkpoints(folder.checkpoints(experiment.storage), best.number).load()
    training = None if held is None else held.get("training")
    if not isinstance(training, dict) or training.get("state") is not None or training.get("files"):
        return None
    return (
        "note: your code saves nothing (context.save), so a trial that is interrupted starts over, "
        "and an exported model has no weights"
    )
