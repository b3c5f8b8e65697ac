"""A run on which more is trained after its search: to confirm it, to audit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic

from analysis.record.folder import RunFolder
from analysis.record.trials import Trials
from search.control.first_failures import FirstFailures
from search.preparation import prepare
from search.provenance import compare, record_changes, surroundings_of
from search.rerun.rerunner import AnyPlan, Rerunner
from search.run_context import Terms, run_context
from search.session import Host, opened
from spaces.experiment import Experiment
from trainables.data.splits import Data


@dataclass(frozen=True)
class Reopened(Generic[AnyPlan]):
    """A run that is worked on again: its journal is open, and nobody else writes it."""

    folder: RunFolder
    experiment: Experiment
    data: Data | None
    rerunner: Rerunner[AnyPlan]


@contextmanager
def reopened(
    folder: RunFolder,
    plan_of: Callable[[Experiment, Trials], AnyPlan],
    again: str,
    host: Host,
    terms: Terms,
) -> Iterator[Reopened[AnyPlan]]:
    """Carry a plan out, as far as it is not yet; what follows is done inside the context.

    Args:
        folder: the run.
        plan_of: makes the plan, once nobody else writes the run any more.
        again: the command that goes on.
        host: what the trainings run in.
        terms: what to do about code that moved, about what has changed, about failures.

    Raises:
        InputError: when the run is being written by another process, or damaged.
        RunError: when its disk or its storage failed, or all that is trained fails.
    """
    note = host.view.note
    with (
        run_context(folder, note, terms.code) as (folder, start, experiment, moved),
        opened(folder, experiment, host, again) as session,
    ):
        rerunner = Rerunner(experiment, session.journal, plan_of)
        rerunner.first_failures = FirstFailures(terms.keep_going)
        data = prepare(experiment)
        now = surroundings_of(experiment, data)
        changed = compare(start.surroundings, now, terms.strict, note)
        rerunner.begin()
        record_changes(rerunner, rerunner.searched.changes, changed, now, moved)
        if not rerunner.is_finished:
            session.train(rerunner, data, part=folder.of_reruns)
        with session.guarded(rerunner):
            yield Reopened(folder, experiment, data, rerunner)
