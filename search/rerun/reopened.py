"""A run on which more is trained after its search: to confirm it, to audit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic

from analysis.record.folder import RunFolder
from analysis.record.trials import Trials
from search.continuing import continued
from search.control.first_failures import FirstFailures
from search.rerun.rerunner import AnyPlan, Rerunner
from search.run_context import Terms
from search.session import Host
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
    with continued(folder, again, host, terms) as run:
        rerunner = Rerunner(run.experiment, run.session.journal, plan_of)
        rerunner.first_failures = FirstFailures(terms.keep_going)
        rerunner.begin()
        run.record_changes(rerunner)
        if not rerunner.is_finished:
            run.session.train(rerunner, run.data, part=run.folder.of_reruns)
        with run.session.guarded(rerunner):
            yield Reopened(run.folder, run.experiment, run.data, rerunner)
