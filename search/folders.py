"""The folder of a new run: found, made, and removed again where the run never began."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from analysis.record.folder import RunFolder
from spaces.experiment import Experiment
from spaces.problems import InputError


def new_folder(experiment: Experiment, path: Path | None) -> RunFolder:
    """The folder of a new run: ``path``, or ``runs/<name>-<time>``, which is made, for nobody else.

    Raises:
        InputError: when it holds something already, or can't be made.
    """
    if path is None:
        name = f"{experiment.name}-{datetime.now():%Y%m%d-%H%M%S}"
        return RunFolder(free_folder(Path("runs"), name))
    if RunFolder(path).has_begun:
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


def free_folder(root: Path, name: str) -> Path:
    """Make a folder ``name`` below ``root`` that nobody else has; ``name-2`` where that is taken.

    Raises:
        InputError: when it can't be made.
    """
    for number in itertools.count(1):
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if not root.is_dir():
                raise InputError(f"{root} is no folder", source="--run") from None
        except OSError as error:
            raise InputError(f"{folder} can't be made: {error.strerror}", source="--run") from None
        else:
            return folder
    raise AssertionError


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """Make a folder; should nothing come to stand in it, it is taken away again."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} can't be made: {error.strerror}", source="--run") from None
    try:
        yield
    finally:
        with suppress(OSError):  # it holds something, or somebody removed it
            folder.rmdir()


def remove_beginning(run: RunFolder) -> None:
    """Remove what a start leaves that failed before the first event."""
    for file in (run.experiment_file, run.journal_file, run.path / "lock"):
        with suppress(OSError):
            file.unlink()
