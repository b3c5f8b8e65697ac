"""The user's own code, named in a file as ``folder/my_code.py:function``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from spaces.given import Function, Given, given_as
from spaces.imports import Reference, absolute_reference, imported_files, parse_reference
from spaces.problems import InputError, shown
from spaces.project import Project, Stage, project_at

__all__ = ["absolute_reference", "code_files", "files_taken", "find", "load_function", "renew"]
Wrapper: TypeAlias = Callable[[Function], Function]
_TAKEN: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}  # at each project's last call
_LOADED: dict[str, Reference] = {}  # what a process has imported it has, though the file moves


def _as_it_is(found: Function) -> Function:
    return found


def load_function(reference: str, wrapped: Wrapper = _as_it_is) -> Function:
    """Import the module that ``reference`` names, once in a process, and take the function from it.

    A function that Python code has handed over runs instead, see ``spaces.given``.

    Args:
        reference: ``path/to/file.py:function`` or ``path/to/package.module:function``.
        wrapped: what to run in that world, made of the function.

    Returns:
        The function; it and the generator that it may give find the world that they would find
        outside, see ``spaces.project``.

    Raises:
        InputError: when the reference is no such pair, the file or function is not there, or
            the file cannot be imported.
    """
    parsed = find(reference)
    project = project_at(parsed.root)
    if (handed := given_as(reference)) is not None:
        return _handed_over(handed, parsed, wrapped)
    place = reference.rpartition(":")[0]
    try:
        module = project.load(parsed)
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}{_lacks(error, project)}"
        raise InputError(f"{place} cannot be imported: {why}") from error
    found = getattr(module, parsed.function, None)
    if not callable(found):
        names = [name for name, value in [*vars(module).items()] if callable(value)]
        project.forget(parsed)  # it may be mended, in a notebook
        raise InputError(
            f"{place} has no function {shown(parsed.function)}; it has {', '.join(names) or 'none'}"
        )
    _LOADED[reference] = parsed
    return _on_stage(wrapped(found), project, parsed.file)


def _lacks(error: BaseException, project: Project) -> str:
    """What to do about a module that is not there."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return ""
    name = error.name.partition(".")[0]
    return (
        f"; it is not installed here (most often: pip install {name}), nor is it in {project.root}"
    )


def renew(reference: str) -> None:
    """Import code afresh where its files have changed since this process imported it."""
    with suppress(InputError, OSError):  # whoever loads it tells
        parsed = parse_reference(reference)
        project_at(parsed.root).renew(parsed)


def find(reference: str) -> Reference:
    """What a reference names, or named when this process imported it.

    Raises:
        InputError: when it names no file.
    """
    try:
        return parse_reference(reference)
    except InputError:
        if reference not in _LOADED:
            raise
        return _LOADED[reference]


def code_files(reference: str) -> list[Path]:
    """The file of own code, and all of its project that it imports, by its source.

    Raises:
        InputError: when the reference names no file.
    """
    return imported_files(parse_reference(reference))


def files_taken(reference: str, earlier: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What own code has taken from its project in this process, and in earlier ones.

    Args:
        reference: the code.
        earlier: what this function returned there.

    Returns:
        ``files``: modules and what it read, by their paths from the project's folder; ``folder``:
        likewise, that in which it began.
    """
    project = project_at(find(reference).root)
    counts, taken = _TAKEN.get(project.root, ((), None))
    if taken is not None and taken is earlier and counts == project.counts():
        return taken
    counts = project.counts()
    files = {*map(str, project.modules()), *project.opened.files()}
    paths = {Path(os.path.relpath(file, project.root)).as_posix() for file in files}
    held = (earlier or {}).get("files", [])
    folder = Path(os.path.relpath(project.opened.base, project.root)).as_posix()
    taken = {"files": sorted({*paths, *held}), "folder": folder}
    _TAKEN[project.root] = counts, taken
    return taken


def _handed_over(handed: Given, reference: Reference, wrapped: Wrapper) -> Function:
    """A function that was handed over; at home its modules are those that are imported there."""
    if handed.is_at_home:
        return wrapped(handed.take())
    if handed.home is not None and os.path.isdir(handed.home):
        reference = reference._replace(root=Path(handed.home))
    project = project_at(reference.root)
    project.survey(reference)
    with project.running(Stage(reference.file)):
        function = handed.take()
    return _on_stage(wrapped(function), project, reference.file)


def _on_stage(function: Function, project: Project, file: Path) -> Function:
    """The function, in the world of its own."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        stage = Stage(file)
        with project.running(stage):
            result = function(*args, **kwargs)
        return _steps(result, project, stage) if isinstance(result, Generator) else result

    return call


def _steps(generator: Generator[Any], project: Project, stage: Stage) -> Generator[Any, None, Any]:
    """A generator of own code: each of its steps in its own world."""
    thrown: Exception | None = None
    try:
        while True:
            with project.running(stage):
                try:
                    value = next(generator) if thrown is None else generator.throw(thrown)
                except StopIteration as end:
                    return end.value
            thrown = None
            try:
                yield value
            except Exception as error:
                thrown = error
    finally:
        with project.running(stage):
            generator.close()
