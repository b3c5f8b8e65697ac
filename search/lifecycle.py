"""A search from its start to its end, and on from there."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from analysis.record.events import CheckpointSaved, Started
from analysis.record.folder import RunFolder
from analysis.record.journal import each_event
from search.continuing import continued
from search.control.coordinator import Coordinator
from search.control.first_failures import FirstFailures
from search.folders import removed_if_empty
from search.preparation import prepare
from search.provenance import surroundings_of
from search.run_context import DEFAULT_TERMS, Terms
from search.session import DEFAULT_HOST, Host, Session, opened, try_storage
from spaces.experiment import Experiment
from spaces.files import save_experiment
from spaces.problems import InputError, Problem, without_keys
from trainables.checkpoints.checkpoints import Checkpoints
from trainables.data.splits import Data


def start_search(
    experiment: Experiment, folder: RunFolder, host: Host = DEFAULT_HOST, keep_going: bool = False
) -> Coordinator:
    """Search anew.

    Args:
        experiment: what to search.
        folder: where to put everything; made by this call.
        host: what the search runs in.
        keep_going: go on when the baseline, or the first trials one after the other, fail at once.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when something that the experiment needs is not there.
        RunError: when the run's disk or its storage failed, or what is trained does at once.
    """
    with removed_if_empty(folder.path):
        data = prepare(experiment)
        if experiment.storage is not None and not try_storage(experiment, folder):
            place = folder.checkpoints(experiment.storage)
            message = "holds checkpoints of another run; name this one otherwise with --run"
            raise InputError([Problem("storage", f"{without_keys(place)} {message}")])
        with opened(folder, experiment, host, _again(folder), is_new=True) as session:
            return _search(session, data, keep_going)


def _search(session: Session, data: Data | None, keep_going: bool) -> Coordinator:
    experiment, folder = session.experiment, session.folder
    save_experiment(experiment, folder.experiment_file)
    coordinator = Coordinator(experiment, session.journal)
    coordinator.first_failures = FirstFailures(keep_going)

    def begin() -> None:
        place = folder.checkpoints(experiment.storage)
        coordinator.start(
            Started(
                spec=experiment.plain(),
                directory=str(Path.cwd()),
                checkpoints=None if experiment.storage is None else Checkpoints(place, 0).root,
                divergence="known_losses",
                **dict(surroundings_of(experiment, data)),
            )
        )

    session.train(coordinator, data, begin)
    return coordinator


def resume_search(
    folder: RunFolder,
    trials: int = 0,
    hours: float = 0.0,
    host: Host = DEFAULT_HOST,
    terms: Terms = DEFAULT_TERMS,
) -> Coordinator:
    """Go on with a run where its journal ends, or extend a finished one.

    Args:
        folder: the run.
        trials: so many more than its budget has.
        hours: so many more than its budget has.
        host: what the search runs in.
        terms: what to do about code that moved, about what has changed, about failures.

    Returns:
        The coordinator, with all trials, after the journal is closed.

    Raises:
        InputError: when the run is finished and nothing was added, or its files are damaged.
        RunError: when its disk or its storage failed, or what is trained does at once.
    """
    with continued(folder, _again(folder), host, terms) as run:
        coordinator = Coordinator(run.experiment, run.session.journal)
        coordinator.first_failures = FirstFailures(terms.keep_going)
        coordinator.replay()
        coordinator.resumed_budget(trials, hours)
        _check_name(run.experiment, run.folder, run.start)

        def begin() -> None:
            coordinator.go_on(trials, hours)
            run.record_changes(coordinator)

        run.session.train(coordinator, run.data, begin)
    return coordinator


def _again(folder: RunFolder) -> str:
    """The command that goes on with a run."""
    return f"shoal resume {folder.path}"


def _check_name(experiment: Experiment, folder: RunFolder, start: Started) -> None:
    """See that the checkpoints of a run don't lie where another name of its folder says.

    Where there are none at all any more, its trials start over.
    """
    if experiment.storage is None or not try_storage(experiment, folder):
        return
    former = start.checkpoints or _former_place(folder)
    if former is None:
        return
    if Checkpoints(folder.checkpoints(experiment.storage), 0).has_neighbour(former):
        message = f"the checkpoints of this run are in {former}; "
        raise InputError(f"{message}give the run's folder back the name that it had", "storage")


def _former_place(folder: RunFolder) -> str | None:
    """Where the checkpoints of a run lie that an earlier version began."""
    events = each_event(folder.journal_file)
    saved = next((event for event in events if isinstance(event, CheckpointSaved)), None)
    return None if saved is None else str(PurePosixPath(saved.path).parents[1])
