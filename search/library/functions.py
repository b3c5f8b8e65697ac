"""Functions that Python code hands over: where each stands, and what the run keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import FunctionType

from analysis.record.folder import RunFolder, experiment_of, own_code
from analysis.record.lock import is_locked
from spaces.given import Function
from spaces.problems import InputError
from spaces.snapshot import check_function, module_reference, write_snapshot

_ARGUMENTS = {"trainable": "train", "space": "space"}  # by the place in an experiment


def references_of(
    functions: Mapping[str, FunctionType], folder: RunFolder
) -> tuple[dict[str, str], dict[str, Function]]:
    """What stands for functions in a run; the source is kept of those that no module has.

    Args:
        functions: by the place where the experiment names them.
        folder: the run.

    Returns:
        The references by place; and the functions, those of modules left out, by reference.
    """
    references: dict[str, str] = {}
    handed: dict[str, Function] = {}
    for place, function in functions.items():
        reference = module_reference(function)
        if reference is None:
            file = _file_for(place, folder)
            write_snapshot(function, file, Path.cwd())
            reference = f"{file}:{function.__name__}"
            handed[reference] = function
        references[place] = reference
    return references, handed


def resumed_functions(
    folder: RunFolder, functions: Mapping[str, Function | None]
) -> tuple[dict[str, Function], Path | None]:
    """The functions with which a run goes on.

    Args:
        folder: the run.
        functions: by the place where the experiment names them; None: not handed over.

    Returns:
        The functions by what stands for them; and where the code lies that the run has kept, if
        the run has moved.

    Raises:
        InputError: when the run has no place for one of them, or has another one there.
    """
    names = own_code(experiment_of(folder))
    kept = {place: held for place, held in names.items() if _is_kept(place, held, folder)}
    has_moved = any(_file_of(held) != _file_for(place, folder) for place, held in kept.items())
    given = {}
    for place, held in functions.items():
        if held is not None:
            function = check_function(held, _ARGUMENTS[place])
            _check_place(place, function, names, kept)
            given[place] = function
    if given and is_locked(folder.path):
        raise InputError(f"{folder.path} is being written by another process")
    handed = references_of(given, folder)[1]
    return handed, folder.own_code.resolve() if has_moved else None


def _file_for(place: str, folder: RunFolder) -> Path:
    """The module in a run that stands for a function."""
    return folder.own_code.resolve() / f"given_{_ARGUMENTS[place]}.py"


def _file_of(reference: str) -> Path:
    return Path(reference.rpartition(":")[0])


def _is_kept(place: str, reference: str, folder: RunFolder) -> bool:
    """Whether a run's own folder has the code, or had it where the run was before."""
    own = _file_for(place, folder)
    return _file_of(reference).parts[-2:] == own.parts[-2:] and own.is_file()


def _check_place(
    place: str, function: FunctionType, names: Mapping[str, str], kept: Mapping[str, str]
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
