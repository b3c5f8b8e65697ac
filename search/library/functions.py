"""Functions that Python code hands over: where each stands, and what the run keeps of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType

from analysis.record.folder import RunFolder, experiment_of, own_code
from analysis.record.lock import is_locked
from search.control.view import Note, ignore_note
from spaces.given import Function
from spaces.kept.data_files import remove_unread
from spaces.kept.snapshot import check_function, module_reference, write_snapshot
from spaces.problems import InputError, RunError

_ARGUMENTS = {"trainable": "train", "space": "space"}  # by the place in an experiment


def references_of(
    functions: Mapping[str, FunctionType], folder: RunFolder, note: Note | None = ignore_note
) -> tuple[dict[str, str], dict[str, Function]]:
    """What stands for functions in a run; the source is kept of those that no module has.

    Args:
        functions: by the place where the experiment names them.
        folder: the run.
        note: is told what the kept source lacks; None: only names are asked for, and empty files
            stand for the functions.

    Returns:
        The references by place; and the functions, those of modules left out, by reference.

    Raises:
        RunError: when the source or its data can't be written.
    """
    references: dict[str, str] = {}
    handed: dict[str, Function] = {}
    for place, function in functions.items():
        reference = module_reference(function)
        if reference is None:
            file = _file_for(place, folder)
            if note is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
            else:
                _keep(function, file, note)
            reference = f"{file}:{function.__name__}"
            handed[reference] = function
        references[place] = reference
    return references, handed


def _keep(function: FunctionType, file: Path, note: Note) -> None:
    try:
        lacking = write_snapshot(function, file)
    except OSError as error:
        reason = f"{error.filename or file} can't be written: {error.strerror or error}"
        raise RunError(f"the run can't keep {function.__name__}: {reason}") from None
    if lacking:
        what = f"the run keeps the source of {function.__name__}, but not {lacking[0]}"
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        note(f"note: {what}{more}; to go on with it, resume needs the function")


def resumed_functions(
    folder: RunFolder, functions: Mapping[str, Function | None]
) -> dict[str, Function]:
    """The functions with which a run goes on.

    Args:
        folder: the run.
        functions: by the place where the experiment names them; None: not handed over.

    Returns:
        The functions by what stands for them.

    Raises:
        InputError: when the run has no place for one of them, or has another one there.
        RunError: when the source or its data can't be written.
    """
    names = own_code(experiment_of(folder))
    kept = {place for place, held in names.items() if _file_of(held) == _file_for(place, folder)}
    given = {}
    for place, held in functions.items():
        if held is not None:
            function = check_function(held, _ARGUMENTS[place])
            _check_place(place, function, names, kept)
            given[place] = function
    if given and is_locked(folder.path):
        raise InputError(f"{folder.path} is being written by another process")
    return references_of(given, folder)[1]


def _file_for(place: str, folder: RunFolder) -> Path:
    """The module in a run that stands for a function."""
    return folder.own_code.resolve() / f"given_{_ARGUMENTS[place]}.py"


def _file_of(reference: str) -> Path:
    return Path(reference.rpartition(":")[0])


def _check_place(
    place: str, function: FunctionType, names: Mapping[str, str], kept: Collection[str]
) -> None:
    """See that a run has such a function, and that it is this one.

    Raises:
        InputError: when it has none, its name is another, or a file has it.
    """
    argument, reference = _ARGUMENTS[place], names.get(place)
    if reference is None:
        what = "trains built-in models" if place == "trainable" else "lists its parameters"
        raise InputError(f"the run has no such function; it {what}", argument)
    module, name = module_reference(function), reference.rpartition(":")[2]
    if place not in kept and module != reference:
        mend = "leave it out; if the file has moved: code=, its new place"
        raise InputError(f"the run's function is {reference}; {mend}", argument)
    if place in kept and (module is not None or function.__name__ != name):
        got = module or function.__name__
        raise InputError(
            f"the run's function is {name}, of a notebook or a script; got {got}", argument
        )


@contextmanager
def replaced_if_begun(folder: RunFolder) -> Iterator[None]:
    """The kept source is what it was, unless a session begins with another one.

    Then the earlier one stays beside it, as ``given_train-earlier.py``, and the data that it reads.
    """
    before = {file: file.read_bytes() for file in folder.own_code.glob("given_*.py")}
    size = folder.journal_file.stat().st_size
    try:
        yield
    finally:
        has_begun = folder.journal_file.stat().st_size > size
        for file, source in before.items():
            if file.read_bytes() != source:
                kept = file.with_stem(f"{file.stem}-earlier") if has_begun else file
                kept.write_bytes(source)
        remove_unread(folder.own_code)
