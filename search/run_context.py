"""Going on with a run: the folder that it runs in, and its code, which is named before it runs."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from analysis.record.events import Moved, Started
from analysis.record.folder import (
    RunFolder,
    experiment_of,
    moved_code,
    own_code,
    start_of,
    with_moved_code,
)
from search.control.view import Note
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.given import given_as
from spaces.imports import named_file
from spaces.problems import InputError, Problem


@dataclass(frozen=True)
class Terms:
    """How a run is gone on with.

    ``code``: where the user's own code has moved. ``strict``: refuse, instead of only telling, when
    what the run depends on has changed. ``keep_going``: record failures also when all that is
    trained fails.
    """

    code: Path | None = None
    strict: bool = False
    keep_going: bool = False


DEFAULT_TERMS = Terms()


class RunContext(NamedTuple):
    """A run, its folder as it is named from its directory.

    ``experiment``: checked, its code imported. ``moved``: what ``--code`` says anew.
    """

    folder: RunFolder
    start: Started
    experiment: Experiment
    moved: Moved | None


@contextlib.contextmanager
def run_context(folder: RunFolder, note: Note, code: Path | None = None) -> Iterator[RunContext]:
    """Work in the folder where a run began, with its code imported, which is named first.

    Args:
        folder: the run.
        note: is given what should be known, as a line.
        code: the file or folder to which the user's code has moved; None: it lies where it was.

    Raises:
        InputError: when the run's journal is damaged, or its code is not there or faulty.
    """
    start, experiment = start_of(folder), experiment_of(folder)
    last = moved_code(folder)
    directory = start.directory if last is None or last.directory is None else last.directory
    moved = None
    if code is not None:
        moved = _moved(experiment, code, directory)
        experiment = with_moved_code(experiment, moved)
        directory = moved.directory or directory
        moved = None if last is not None and _places(moved) == _places(last) else moved
    names = own_code(experiment)
    files = _files(names)
    for place, file in files.items():
        if not os.path.isfile(file):
            message = f"there is no file {file}; if it has moved: --code, its new file or folder"
            raise InputError([Problem(place, message)])
    path = folder.path.resolve()
    with inside(directory, note if files else None) as here:
        folder = folder if here is None else RunFolder(path)
        if files:
            where = "" if here is None else f", in {here}"
            in_files = [files[place] for place in files if given_as(names[place]) is None]
            if in_files:
                note(code_line(in_files, where + _strangeness(path, start)))
        yield RunContext(folder, start, parse_experiment(experiment.plain()), moved)


def code_line(files: Iterable[str], more: str = "") -> str:
    """Which code will run, in a line to be shown before it does."""
    return f"runs your code: {', '.join(dict.fromkeys(files))}{more}"


def _strangeness(folder: Path, start: Started) -> str:
    """What speaks for a run that somebody else, or another machine, has made."""
    reasons = []
    if start.host != platform.node():
        reasons.append(f"the run was begun on host {start.host}")
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        reasons.append("its folder belongs to another user")
    return f" ({'; '.join(reasons)})" if reasons else ""


@contextlib.contextmanager
def inside(directory: str | None, note: Note | None = None) -> Iterator[Path | None]:
    """Work in the directory where a search began; None where that is this one, or it is gone.

    Args:
        directory: None: an earlier version did not record it.
        note: is told when it is gone.
    """
    here = Path.cwd()
    if directory is None or Path(directory) == here:
        yield None
        return
    try:
        os.chdir(directory)
    except (OSError, ValueError):
        if note is not None:
            gone = f"{directory}, where the search began, is gone"
            note(f"note: {gone}; your code runs in {here}")
        yield None
        return
    try:
        yield Path(directory)
    finally:
        os.chdir(here)


def _moved(experiment: Experiment, code: Path, directory: str | None) -> Moved:
    """Where the code lies that moved to a file or a folder.

    Raises:
        InputError: when the run has no code of the user's, or it is not there.
    """
    names = own_code(experiment)
    files = _files(names)
    if not files:
        raise InputError("the run has no code of your own; it trains built-in models", "--code")
    found = _new_files(files, Path(os.path.abspath(os.path.expanduser(code))))
    first = next(iter(files))
    if directory is not None and not os.path.isdir(directory):  # the project moved as a whole
        way = os.path.relpath(directory, Path(files[first]).parent)
        guess = os.path.normpath(Path(found[first]).parent / way)
        directory = guess if os.path.isdir(guess) else directory
    moved = {place: f"{found[place]}:{names[place].rpartition(':')[2]}" for place in names}
    return Moved(directory=directory, **moved)


def _new_files(files: Mapping[str, str], new: Path) -> dict[str, str]:
    """The file for each of the old ones, where ``new`` is one of them or a folder of them."""
    if os.path.isdir(new):
        return {place: _within(new, Path(file)) for place, file in files.items()}
    if new.suffix != ".py" or not os.path.isfile(new):
        raise InputError(f"must be a .py file or a folder, and {new} is neither", "--code")
    first = next(iter(files.values()))
    found = {}
    for place, file in files.items():
        beside = new if file == first else new.parent / Path(file).name
        found[place] = str(beside) if os.path.isfile(beside) else file
    return found


def _files(names: Mapping[str, str]) -> dict[str, str]:
    return {place: str(named_file(held)) for place, held in names.items()}


def _within(folder: Path, file: Path) -> str:
    """The file in its new folder: with as much of its old path below it as there is."""
    parts = file.parts[1:]
    for first in range(len(parts)):
        candidate = folder.joinpath(*parts[first:])
        if candidate.is_file():
            return str(candidate)
    raise InputError(f"there is no {file.name} in {folder}", "--code")


def _places(moved: Moved) -> tuple[str | None, ...]:
    return moved.trainable, moved.space, moved.directory
