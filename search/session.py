"""One session of searching: from a checked experiment to a closed journal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from analysis.events import Started
from analysis.journal import Journal, read_journal
from analysis.lock import RunLock
from analysis.optuna_log import OptunaLog
from analysis.projection import project
from analysis.run import RunFolder, open_run
from analysis.tensorboard import TensorBoardFiles
from search.cluster import Slots, connect, slots_for
from search.coordinator import Coordinator
from search.plain import run_plain
from search.progress import Progress
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.files import save_experiment
from spaces.problems import InputError, Problem
from trainables.checkpoints import Checkpoints
from trainables.config import TrainConfig, resolve
from trainables.data import Data, load_data
from trainables.models import build_model

STOP_SECONDS = 8.0  # how long stopping in good order may take
_PACKAGES = ("shoal", "ray", "optuna", "torch", "torchvision", "numpy", "scikit-learn")


def new_folder(experiment: Experiment, path: Path | None) -> RunFolder:
    """The folder of a new run, not made yet: ``path``, or ``runs/<name>-<time>``.

    Raises:
        InputError: when it holds something already.
    """
    if path is None:
        path = Path("runs") / f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"
    if (path / "journal.jsonl").exists():
        raise InputError(f"{path} already holds a run; go on with: shoal resume {path}", "--run")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is not an empty folder", source="--run")
    return RunFolder(path)


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
            build_model(config.model, data.input_shape, data.outputs, seed=0)
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
    """
    data = prepare(experiment)
    _check_storage(experiment, folder)
    with _made(folder.path), _cluster(experiment, address, verbose) as slots, _locked(folder):
        save_experiment(experiment, folder.experiment_file)
        with closing(Journal(folder.journal_file)) as journal:
            coordinator = Coordinator(experiment, journal)
            coordinator.start(
                Started(spec=experiment.plain(), versions=versions(), host=platform.node())
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
    """
    _, experiment, _ = open_run(folder.path)
    experiment = parse_experiment(experiment.plain())
    data = prepare(experiment)
    with _locked(folder), _cluster(experiment, address, verbose) as slots:
        events = read_journal(folder.journal_file)
        with closing(Journal(folder.journal_file)) as journal:
            coordinator = Coordinator(experiment, journal)
            coordinator.resume(events, trials, hours)
            _search(coordinator, folder, slots, data)
    return coordinator


def _check_storage(experiment: Experiment, folder: RunFolder) -> None:
    """See that checkpoints can be written, and that no other run's lie there already."""
    if experiment.storage is None:
        return
    place = folder.checkpoints(experiment.storage)
    try:
        is_empty = Checkpoints(place, 0).try_root()
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError([Problem("storage", f"{place} can't be written: {reason}")]) from None
    if not is_empty:
        message = f"{place} holds checkpoints of another run; name this one otherwise with --run"
        raise InputError([Problem("storage", message)])


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


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _search(coordinator: Coordinator, folder: RunFolder, slots: Slots, data: Data | None) -> None:
    experiment = coordinator.experiment
    coordinator.projections = [
        TensorBoardFiles(folder.tensorboard, experiment),
        OptunaLog(folder.optuna_log, experiment),
    ]
    project(read_journal(folder.journal_file), coordinator.projections)
    progress = Progress(coordinator, folder)
    with _interruptible(coordinator, folder), progress:
        try:
            run_plain(coordinator, folder, slots, data, progress)
        except BaseException:
            coordinator.close(reason="error")
            raise
        coordinator.close()


@contextmanager
def _locked(folder: RunFolder) -> Iterator[None]:
    lock = RunLock(folder.path)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _cluster(experiment: Experiment, address: str | None, verbose: bool) -> Iterator[Slots]:
    is_ours = connect(address, verbose)
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
