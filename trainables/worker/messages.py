"""What the driver tells a worker about a trial, and what the worker answers after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trainables.checkpoints.saving import SavePlan
from trainables.reports import EpochReport


@dataclass(frozen=True)
class Origin:
    """A trial that another training continues: where its checkpoints are, and its reports."""

    checkpoints: str
    trial: int
    reports: tuple[EpochReport, ...]


@dataclass(frozen=True)
class Assignment:
    """What a worker is told about its trial.

    ``config``: plain data of the resolved settings. ``reported``: epochs that the journal has as
    the worker begins, or begins again. ``checkpoints``: folder or URI under which the trials'
    checkpoints lie. ``origin``: another such place, the trial there from which to begin while there
    is none of its own, and what that one reported. ``project``: the folder of the user's own code,
    on the driver's machine. ``log_file``: where what the code prints goes, if that folder is there
    on the worker's machine. ``files``: the run's folder, and below it that of this trial for files
    of its own, and of the trial in ``origin``. ``directory``: where the user's own code runs,
    unless it was shipped to a cluster. ``saving``: after which epochs checkpoints are written.
    """

    trial: int
    config: dict[str, Any]
    reported: int
    checkpoints: str
    origin: Origin | None
    project: str | None
    log_file: str
    files: tuple[str, str, str | None]
    epoch_timeout_seconds: float | None
    directory: str | None = None
    saving: SavePlan = field(default_factory=SavePlan)


@dataclass(frozen=True)
class Outcome:
    """What a worker answers after each epoch.

    ``report`` is None when the training had ended before; ``saved``: whether a checkpoint was
    written meanwhile; ``error`` is the traceback of an exception in it; ``fault`` is what the whole
    search can't go on without: a storage, room on a disk, the file of the user's own code.
    ``printed`` is what the code printed meanwhile, unless it is in the log; ``notes`` are lines for
    the one who searches. ``lost`` is why the training can only go on from its checkpoint, and
    ``shared`` whether others were lost with it.
    """

    report: EpochReport | None
    saved: bool = False
    printed: str = ""
    error: str | None = None
    fault: str | None = None
    notes: tuple[str, ...] = ()
    lost: str | None = None
    shared: bool = False
