"""One session of searching: from a checked experiment to a closed journal."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath

from analysis.record.events import CheckpointSaved, Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal, each_event
from analysis.record.lock import locked
from analysis.views.projection import open_projections
from search.cli.progress import Progress
from search.control.coordinator import Coordinator
from search.control.first_failures import FirstFailures
from search.preparation import prepare
from search.provenance import compare, note, surroundings_of
from search.reopening import USUAL, Terms, reentered
from search.signals import faults_told, has_begun, interruptible, made, taken
from search.transport.cluster import Slots, on_cluster
from search.transport.tune import run_plain
from spaces.experiment import Experiment
from spaces.files import save_experiment
from spaces.problems import InputError, Problem, RunError, without_keys
from trainables.checkpoints.checkpoints import Checkpoints, StorageError
from trainables.data.splits import Data


def new_folder(experiment: Experiment, path: Path | None) -> RunFolder:
    """The folder of a new run: ``path``, or ``runs/<name>-<time>``, which is made, for nobody else.

    Raises:
        InputError: when it holds something already, or can't be made.
    """
    if path is None:
        return RunFolder(taken(Path("runs"), f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"))
    if has_begun(path):
        raise InputError(f"{path} already holds a run; go on with: shoal resume {path}", "--run")
    if path.exists() and not _is_free(path):
        raise InputError(f"{path} is not an empty folder", source="--run")
    return RunFolder(path)


def _is_free(path: Path) -> bool:
    """Whether a folder is empty, or holds no more than a start leaves that failed at once."""
    if not path.is_dir():
        return False
    run = RunFolder(path)
    has_failed = run.journal_file.exists()  # and is empty, or this would be a run
    left = {"lock", run.journal_file.name, run.experiment_file.name} if has_failed else set()
    others = [place for place in path.iterdir() if place.name not in left]
    return all(place.is_dir() and not any(place.iterdir()) for place in others)


def start_search(
    experiment: Experiment,
    folder: RunFolder,
    address: str | None = None,
    verbose: bool = False,
    keep_going: bool = False,
) -> Coordinator:
    """Search anew.

    Args:
        experiment: what to search.
        folder: where to put everything; made by this call.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        keep_going: go on when the baseline, or the first trials one after the other, fail at once.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when something that the experiment needs is not there.
        RunError: when the run's disk or its storage failed, or what is trained does at once.
    """
    with made(folder.path):
        data = prepare(experiment)
        if experiment.storage is not None and not _try_storage(experiment, folder):
            place = folder.checkpoints(experiment.storage)
            message = "holds checkpoints of another run; name this one otherwise with --run"
            raise InputError([Problem("storage", f"{without_keys(place)} {message}")])
        with (
            faults_told(folder, _again(folder)),
            on_cluster(experiment, address, verbose) as slots,
            locked(folder.path, is_new=True),
        ):
            return _started(experiment, folder, slots, data, keep_going)


def _started(
    experiment: Experiment, folder: RunFolder, slots: Slots, data: Data | None, keep_going: bool
) -> Coordinator:
    if has_begun(folder.path):  # by a search that was given the same name a moment before
        raise InputError(f"{folder.path} holds a run by now; name another one with --run")
    save_experiment(experiment, folder.experiment_file)
    _try_storage(experiment, folder)
    with closing(Journal(folder.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        coordinator.first_failures = FirstFailures(keep_going)
        coordinator.start(
            Started(
                spec=experiment.plain(),
                directory=str(Path.cwd()),
                divergence="known_losses",
                **dict(surroundings_of(experiment, data)),
            )
        )
        _search(coordinator, folder, slots, data)
    return coordinator


def resume_search(
    folder: RunFolder,
    trials: int = 0,
    hours: float = 0.0,
    address: str | None = None,
    verbose: bool = False,
    terms: Terms = USUAL,
) -> Coordinator:
    """Go on with a run where its journal ends, or extend a finished one.

    Args:
        folder: the run.
        trials: so many more than its budget has.
        hours: so many more than its budget has.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        terms: what to do about code that moved, about what has changed, about failures.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when the run is finished and nothing was added, or its files are damaged.
        RunError: when its disk or its storage failed, or what is trained does at once.
    """
    with reentered(folder, terms.code) as (folder, start, experiment, moved):
        data = prepare(experiment)
        now = surroundings_of(experiment, data)
        changed = compare(start.surroundings, now, terms.strict)
        with (
            faults_told(folder, _again(folder)),
            locked(folder.path),
            on_cluster(experiment, address, verbose) as slots,
        ):
            _check_name(experiment, folder, is_empty=_try_storage(experiment, folder))
            with closing(Journal(folder.journal_file)) as journal:
                coordinator = Coordinator(experiment, journal)
                coordinator.resume(trials, hours)
                note(coordinator, coordinator.trials.changes, changed, now, moved)
                coordinator.first_failures = FirstFailures(terms.keep_going)
                _search(coordinator, folder, slots, data)
    return coordinator


def _again(folder: RunFolder) -> str:
    """The command that goes on with a run."""
    return f"shoal resume {folder.path}"


def _try_storage(experiment: Experiment, folder: RunFolder) -> bool:
    """Make the place for checkpoints, and say whether it is empty."""
    try:
        return Checkpoints(folder.checkpoints(experiment.storage), 0).try_root()
    except StorageError as error:
        raise InputError(str(error)) from None


def _check_name(experiment: Experiment, folder: RunFolder, is_empty: bool) -> None:
    """See that the checkpoints of a run don't lie where another name of its folder says.

    Where there are none at all any more, its trials start over.
    """
    if not is_empty or experiment.storage is None:
        return
    events = each_event(folder.journal_file)
    saved = next((event for event in events if isinstance(event, CheckpointSaved)), None)
    if saved is None:
        return
    former = str(PurePosixPath(saved.path).parents[1])
    if Checkpoints(folder.checkpoints(experiment.storage), 0).has_neighbour(former):
        message = f"the checkpoints of this run are in {former}; "
        raise InputError(f"{message}give the run's folder back the name that it had", "storage")


def _search(coordinator: Coordinator, folder: RunFolder, slots: Slots, data: Data | None) -> None:
    progress = Progress(coordinator, folder)
    with interruptible(coordinator, _again(folder)):
        try:
            coordinator.projections = open_projections(folder, coordinator.experiment)
            with progress:
                run_plain(coordinator, folder, slots, data, progress)
        except BaseException:
            with suppress(OSError, RunError):  # a full disk, a journal that is gone: it just ends
                coordinator.close(reason="error")
            raise
        coordinator.close()
