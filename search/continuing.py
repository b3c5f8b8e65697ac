"""A run that is worked on again: resumed, confirmed, audited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from analysis.record.events import Moved, Started
from analysis.record.folder import RunFolder
from analysis.record.surroundings import Difference, Surroundings
from search.control.controller import Controller
from search.preparation import prepare
from search.provenance import compare, record_changes, surroundings_of
from search.run_context import Terms, run_context
from search.session import Host, Session, opened
from spaces.experiment import Experiment
from trainables.data.splits import Data


@dataclass(frozen=True)
class Continued:
    """A run whose journal is open again, in the folder where it began.

    ``changed``: how things differ from when it began; ``now``: how they are; ``moved``: where the
    user's code lies now, if that was said anew.
    """

    folder: RunFolder
    start: Started
    experiment: Experiment
    data: Data | None
    session: Session
    changed: list[Difference]
    now: Surroundings
    moved: Moved | None

    def record_changes(self, controller: Controller) -> None:
        """Write what has changed into the journal, which the controller has taken in."""
        record_changes(controller, self.changed, self.now, self.moved)


@contextmanager
def continued(folder: RunFolder, again: str, host: Host, terms: Terms) -> Iterator[Continued]:
    """Open a run again: its context, its lock and journal, its data, and what has changed.

    Args:
        folder: the run.
        again: the command that goes on.
        host: what the trainings run in.
        terms: what to do about code that moved, about what has changed, about failures.

    Raises:
        InputError: when the run is being written by another process, or damaged.
        RunError: when its disk or its storage failed.
    """
    note = host.view.note
    with (
        run_context(folder, note, terms.code) as (folder, start, experiment, moved),
        opened(folder, experiment, host, again) as session,
    ):
        data = prepare(experiment)
        now = surroundings_of(experiment, data)
        changed = compare(start.surroundings, now, terms.strict, note)
        yield Continued(folder, start, experiment, data, session, changed, now, moved)
