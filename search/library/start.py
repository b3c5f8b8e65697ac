"""``run``, ``resume`` and ``load``: a search from a script or a notebook."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any, TypeAlias

from analysis.record.folder import RunFolder, start_of
from search.control.view import Note
from search.export.unsaved import unsaved_note
from search.folders import new_folder, removed_if_empty
from search.library.functions import references_of, replaced_if_begun, resumed_functions
from search.library.host import at_work, library_host
from search.library.result import SearchResult
from search.library.settings import plain_setting
from search.library.words import pythons_words
from search.lifecycle import resume_search, start_search
from search.rerun.confirm import confirm_run, is_left
from search.run_context import DEFAULT_TERMS, Terms
from search.session import Host
from spaces.experiment import Engine, Experiment
from spaces.files import load_experiment, read_experiment
from spaces.given import Function, given
from spaces.kept.snapshot import check_function
from spaces.parameters import plain_scalar
from spaces.problems import InputError, shown

What: TypeAlias = str | Path | Experiment | Mapping[str, Any] | Function


@pythons_words()
def run(
    what: What,
    *,
    space: Mapping[str, Any] | Function | None = None,
    baseline: Mapping[str, Any] | None = None,
    metric: str | Mapping[str, Any] | None = None,
    trials: int | None = None,
    hours: float | None = None,
    max_epochs: int | None = None,
    name: str | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002 (as --set of the command line)
    folder: str | Path | None = None,
    engine: Engine | None = None,
    address: str | None = None,
    keep_going: bool = False,
    show: bool = True,
) -> SearchResult:
    """Search, and return what was found.

    Ctrl-C, or a notebook's stop button, ends the search in good order; what was found until then is
    returned. ``resume`` goes on with it.

    Args:
        what: an experiment file or the name of a study; an ``Experiment``, or its data as a
            mapping; or a function that trains, ``train(config, context)``.
        space: parameters by name, as in a file; or an Optuna define-by-run function.
        baseline: a configuration that the search must beat.
        metric: what is compared, such as ``val_loss``.
        trials: how many there are.
        hours: how long it searches.
        max_epochs: how many epochs a trial has at most.
        name: the search's; that of the function where there is one.
        set: any other settings, by their places in a file: ``{"train.batch_size": 64}``.
        folder: of the run, a new or empty one; left out, one in ``runs/``.
        engine: ``auto``, the fastest; ``tune``, on Ray; ``inline``, here; ``fused``, as one model.
        address: of a Ray cluster; left out, this machine.
        keep_going: go on when the baseline, or the first trials one after the other, fail at once.
        show: whether progress is shown.

    Raises:
        InputError: with every mistake in what was given.
        RunError: when the run's disk or its storage failed, or what is trained does at once.
    """
    told = {
        "name": name,
        "space": space,
        "baseline": baseline,
        "metric": metric,
        "budget.trials": trials,
        "budget.hours": hours,
        "scheduler.max_epochs": max_epochs,
        "engine": engine,
    }
    if set is not None and not isinstance(set, Mapping):
        rule = 'must map places to values, such as {"train.batch_size": 32}'
        raise InputError(f"{rule}, got {shown(set)}", "set")
    changes = {place: value for place, value in told.items() if value is not None} | {**(set or {})}
    functions = {}
    if callable(what):
        functions["trainable"] = check_function(what, "what")
    if callable(changes.get("space")):
        functions["space"] = check_function(changes.pop("space"), "space")
    settings = {place: plain_setting(value, place) for place, value in changes.items()}
    with tempfile.TemporaryDirectory(prefix="shoal-") as draft, at_work({}):
        experiment, _ = _checked(what, settings, functions, RunFolder(Path(draft)), note=None)
    run_folder = new_folder(experiment, None if folder is None else Path(folder))
    host = library_host(engine, address, show)
    with removed_if_empty(run_folder.path), _emptied_if_unbegun(run_folder), at_work({}):
        experiment, handed = _checked(what, settings, functions, run_folder, host.view.note)
        with given(handed):
            start_search(experiment, run_folder, host, keep_going)
            _note_if_unsaved(run_folder, host)
            _confirm_if_asked(run_folder, host)
    return SearchResult(run_folder, handed, show)


def _checked(
    what: What,
    settings: Mapping[str, Any],
    functions: Mapping[str, FunctionType],
    folder: RunFolder,
    note: Note | None,
) -> tuple[Experiment, dict[str, Function]]:
    """The experiment, and its functions that no module has, by what stands for them in a folder.

    ``note``: is told what is not kept of them, and what may not be meant; None: nothing is kept
    yet.
    """
    references, handed = references_of(functions, folder, note)
    with given(handed):
        if isinstance(what, str | Path):
            return load_experiment(what, {**settings, **references}, note), handed
        if isinstance(what, Experiment):
            data = what.plain()
        elif isinstance(what, Mapping):
            data = {key: plain_setting(held, str(key)) for key, held in what.items()}
        elif "trainable" in functions:
            data = {"name": functions["trainable"].__name__.strip("_") or "search"}
        else:
            rule = "must be a file, the name of a study, an Experiment, a mapping or a function"
            raise InputError(f"{rule}, got {shown(what)}", "what")
        changes = {**settings, **references}
        return read_experiment(data, Path.cwd(), changes, note=note), handed


@contextmanager
def _emptied_if_unbegun(folder: RunFolder) -> Iterator[None]:
    """Where a run never begins, its folder goes."""
    try:
        yield
    except BaseException:
        if not folder.has_begun:
            shutil.rmtree(folder.own_code, ignore_errors=True)
            with suppress(OSError):  # somebody else has put something there
                folder.path.rmdir()
        raise


@pythons_words()
def resume(
    folder: str | Path,
    train: Function | None = None,
    *,
    space: Function | None = None,
    trials: int = 0,
    hours: float = 0.0,
    code: str | Path | None = None,
    strict: bool = False,
    keep_going: bool = False,
    engine: Engine | None = None,
    address: str | None = None,
    show: bool = True,
) -> SearchResult:
    """Go on with a run where its journal ends, or extend a finished one.

    Args:
        folder: the run's.
        train: the function that is trained, where the search was started with one. Left out, the
            source that the run has kept of it is run.
        space: likewise, where the space is a function.
        trials: so many more than its budget has.
        hours: so many more than its budget has.
        code: the new file or folder of own code that has moved.
        strict: refuse if data, code or versions have changed.
        keep_going: record failures also when all that is trained fails.
        engine: ``auto``, ``tune``, ``inline`` or ``fused``, instead of the experiment's.
        address: of a Ray cluster; left out, this machine.
        show: whether progress is shown.

    Raises:
        InputError: when the run is finished and nothing was added, or its files are damaged.
        RunError: when its disk or its storage failed, or what is trained does at once.
    """
    run_folder = RunFolder(Path(folder))
    start_of(run_folder)
    trials, hours = plain_scalar(trials), plain_scalar(hours)
    for name, more, kind in (("trials", trials, int), ("hours", hours, int | float)):
        if isinstance(more, bool) or not isinstance(more, kind) or not more >= 0:
            what = "a whole number" if kind is int else "a number"
            raise InputError(f"must be {what} from 0, got {shown(more)}", name)
    terms = Terms(None if code is None else Path(code), strict, keep_going)
    host = library_host(engine, address, show)
    with replaced_if_begun(run_folder):
        functions = resumed_functions(run_folder, {"trainable": train, "space": space})
        with at_work(functions):
            if trials or hours or not _confirm_if_asked(run_folder, host, terms):
                resume_search(run_folder, trials, hours, host, terms)
                _note_if_unsaved(run_folder, host)
                _confirm_if_asked(run_folder, host)
    return SearchResult(run_folder, functions, show)


@pythons_words()
def load(folder: str | Path) -> SearchResult:
    """A run that is there already.

    Raises:
        InputError: when the folder holds no run.
    """
    run_folder = RunFolder(Path(folder))
    start_of(run_folder)
    return SearchResult(run_folder)


def _note_if_unsaved(folder: RunFolder, host: Host) -> None:
    """Say at the end of a search that its code saves nothing."""
    if (note := unsaved_note(folder.path)) is not None:
        host.view.note(note)


def _confirm_if_asked(folder: RunFolder, host: Host, terms: Terms = DEFAULT_TERMS) -> bool:
    """Confirm a finished run whose file asks for that; whether it does."""
    settings = is_left(folder)
    if settings is not None:
        confirm_run(folder, settings, host, terms)
    return settings is not None
