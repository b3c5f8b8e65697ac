"""One session of searching: from a checked experiment to a closed journal."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from analysis.events import CheckpointSaved, Started
from analysis.journal import Journal, each_event
from analysis.lock import locked
from analysis.projection import open_projections
from analysis.run import RunFolder, experiment_of
from search.cluster import Slots, code_folder, connect, slots_for
from search.coordinator import Coordinator
from search.plain import run_plain
from search.progress import Progress
from search.versions import versions
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.files import save_experiment
from spaces.problems import InputError, Problem, RunError, without_keys
from trainables.checkpoints import Checkpoints, StorageError
from trainables.config import TrainConfig, resolve
from trainables.data import Data, load_data
from trainables.models import empty_model

STOP_SECONDS = 8.0  # how long stopping in good order may take


def new_folder(experiment: Experiment, path: Path | None) -> RunFolder:
    """The folder of a new run, not made yet: ``path``, or ``runs/<name>-<time>``.

    Raises:
        InputError: when it holds something already.
    """
    if path is None:
        path = Path("runs") / f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"
    if _has_begun(path):
        raise InputError(f"{path} already holds a run; go on with: shoal resume {path}", "--run")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is not an empty folder", source="--run")
    return RunFolder(path)


def _has_begun(path: Path) -> bool:
    """Whether a folder holds a run; a journal without any event, left by a full disk, is none."""
    journal = RunFolder(path).journal_file
    return journal.exists() and journal.stat().st_size > 0


def prepare(experiment: Experiment) -> Data | None:
    """Load the data and see that the model fits it, before anything is started.

    Raises:
        InputError: when the data is not there, or the model does not fit.
    """
    if experiment.trainable is not None:
        return None
    data = load_data(experiment.dataset, experiment.seed)
    tried = [experiment.baseline] if experiment.baseline is not None else []
    for params in [*tried, *experiment.search_space.samples(3, experiment.seed)]:
        config = resolve(experiment, params, seed=0)
        assert isinstance(config, TrainConfig)
        try:
            empty_model(config.model, data.input_shape, data.outputs, seed=0)
        except ValueError as error:
            raise InputError([Problem("model", str(error))]) from None
    return data


def start_search(
    experiment: Experiment, folder: RunFolder, address: str | None = None, verbose: bool = False
) -> Coordinator:
    """Search anew.

    Args:
        experiment: what to search.
        folder: where to put everything; made by this call.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when something that the experiment needs is not there.
        RunError: when the run's disk or its storage failed.
    """
    data = prepare(experiment)
    if experiment.storage is not None and not _try_storage(experiment, folder):
        place = folder.checkpoints(experiment.storage)
        message = "holds checkpoints of another run; name this one otherwise with --run"
        raise InputError([Problem("storage", f"{without_keys(place)} {message}")])
    with (
        _faults_told(folder),
        _made(folder.path),
        _cluster(experiment, address, verbose) as slots,
        locked(folder.path),
    ):
        save_experiment(experiment, folder.experiment_file)
        _try_storage(experiment, folder)
        with closing(Journal(folder.journal_file)) as journal:
            coordinator = Coordinator(experiment, journal)
            coordinator.start(
                Started(
                    spec=experiment.plain(),
                    versions=versions(),
                    host=platform.node(),
                    inputs=None if data is None else data.spec.model_dump(mode="json"),
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
) -> Coordinator:
    """Go on with a run where its journal ends, or extend a finished one.

    Args:
        folder: the run.
        trials: so many more than its budget has.
        hours: so many more than its budget has.
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when the run is finished and nothing was added, or its files are damaged.
        RunError: when its disk or its storage failed.
    """
    experiment = parse_experiment(experiment_of(folder).plain())
    data = prepare(experiment)
    with _faults_told(folder), locked(folder.path), _cluster(experiment, address, verbose) as slots:
        _check_name(experiment, folder, is_empty=_try_storage(experiment, folder))
        with closing(Journal(folder.journal_file)) as journal:
            coordinator = Coordinator(experiment, journal)
            coordinator.resume(trials, hours)
            _search(coordinator, folder, slots, data)
    return coordinator


def _try_storage(experiment: Experiment, folder: RunFolder) -> bool:
    """Make the place for checkpoints, and say whether it is empty."""
    try:
        return Checkpoints(folder.checkpoints(experiment.storage), 0).try_root()
    except StorageError as error:
        raise InputError(str(error)) from None


def _check_name(experiment: Experiment, folder: RunFolder, is_empty: bool) -> None:
    """See that the checkpoints of a run are where its folder's name says."""
    if not is_empty or experiment.storage is None:
        return
    events = each_event(folder.journal_file)
    saved = next((event for event in events if isinstance(event, CheckpointSaved)), None)
    if saved is not None:
        message = f"the checkpoints are not there; the first was {saved.path}. "
        raise InputError(f"{message}Give the run's folder back the name that it had", "storage")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; should nothing come to stand in it, it is taken away again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} can't be made: {error.strerror}", source="--run") from None
    try:
        yield
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


def _search(coordinator: Coordinator, folder: RunFolder, slots: Slots, data: Data | None) -> None:
    progress = Progress(coordinator, folder)
    with _interruptible(coordinator, folder):
        try:
            coordinator.projections = open_projections(folder, coordinator.experiment)
            with progress:
                run_plain(coordinator, folder, slots, data, progress)
        except BaseException:
            with suppress(OSError):  # where the disk is full, the journal just ends
                coordinator.close(reason="error")
            raise
        coordinator.close()


@contextmanager
def _faults_told(folder: RunFolder) -> Iterator[None]:
    """Tell in a line what the search can't go on without, and how it goes on once that is back."""
    try:
        yield
    except (OSError, RunError) as error:
        what = str(error)
        if isinstance(error, OSError):
            what = f"{error.filename or folder.path} can't be written: {error.strerror or error}"
        if _has_begun(folder.path):
            what += f"\nonce that is mended, go on with: shoal resume {folder.path}"
        raise RunError(what) from None


@contextmanager
def _cluster(experiment: Experiment, address: str | None, verbose: bool) -> Iterator[Slots]:
    is_ours = connect(address, verbose, code_folder(experiment))
    try:
        yield slots_for(experiment.resources, may_wait=address is not None)
    finally:
        if is_ours:
            ray.shutdown()


@contextmanager
def _interruptible(coordinator: Coordinator, folder: RunFolder) -> Iterator[None]:
    """Ctrl-C or SIGTERM once: stop in good order, within seconds. Twice: at once."""
    deadline = threading.Timer(STOP_SECONDS, _leave, [folder])
    deadline.daemon = True

    def handle(number: int, frame: FrameType | None) -> None:
        if coordinator.is_interrupted:
            _leave(folder)
        coordinator.is_interrupted = True
        deadline.start()

    kinds = (signal.SIGINT, signal.SIGTERM)
    previous: dict[signal.Signals, Any] = {kind: signal.signal(kind, handle) for kind in kinds}
    try:
        yield
    finally:
        deadline.cancel()
        for kind, handler in previous.items():
            signal.signal(kind, handler)


def _leave(folder: RunFolder) -> None:
    """End the process where it is: the journal has every event, Ray's processes follow."""
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h")  # the live view hides the cursor
    os.write(1, f"\ninterrupted; go on with: shoal resume {folder.path}\n".encode())
    os._exit(130)
