"""``shoal repair``: a journal is cut off before its first line that can't be read."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from analysis.record.chain import broken_link
from analysis.record.folder import RunFolder, experiment_of, params_check, readers
from analysis.record.journal import DamagedError, replay, save_copy
from analysis.record.lock import locked
from analysis.record.reruns import Reruns
from analysis.record.trials import Trials
from spaces.experiment import Experiment


@dataclass(frozen=True)
class Repaired:
    """``kept``: so many lines; ``problem``: what was wrong with the next one, None where nothing
    was; ``original``: where the whole journal was saved. ``changed``: the first line that can be
    read, but does not fit those before it; nothing is cut off for that."""

    kept: int
    problem: str | None = None
    original: Path | None = None
    changed: int | None = None


def repair_run(folder: RunFolder) -> Repaired:
    """Keep what stands before the first line of a journal that no reader takes.

    Raises:
        InputError: when the folder holds no run, its first line is damaged, or it is being
            searched.
        OSError: when the disk is full; the journal is then as it was.
    """
    with locked(folder.path):
        experiment = experiment_of(folder)  # without its first line there is nothing to keep
        kept, problem = _readable(folder, experiment)
        if problem is None:
            return Repaired(kept, changed=broken_link(folder.journal_file))
        with folder.journal_file.open("rb") as file:
            original = save_copy(file, folder.journal_file, "damaged")
            file.seek(0)
            length = sum(len(line) for line in itertools.islice(file, kept))
        os.truncate(folder.journal_file, length)
        return Repaired(kept, problem, original)


def _readable(folder: RunFolder, experiment: Experiment) -> tuple[int, str | None]:
    """How many lines can be read, and what is wrong with the next one."""
    takers = (*readers(experiment, Trials()), Reruns().apply, params_check(experiment))
    try:
        return replay(folder.journal_file, *takers), None
    except DamagedError as error:
        return error.line - 1, error.problem
