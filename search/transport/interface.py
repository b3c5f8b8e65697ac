"""A transport: what places trainings, on Ray or in this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.processes import ProcessAddress
from spaces.experiment import Experiment
from trainables.data.splits import Data


class Transport(Protocol):
    """What stands between the dispatcher and the workers.

    It asks the dispatcher for assignments, as many as it has room for, has workers train them, and
    hands every outcome in; the dispatcher's answer says whether a trial goes on. It decides
    nothing, and writes no journal.
    """

    def opened(
        self, experiment: Experiment, view: View, data: Data | None
    ) -> AbstractContextManager[None]:
        """Start what it needs, and end it at the end of the context.

        Args:
            experiment: what will be trained.
            view: is told what is being done.
            data: what built-in models are trained on; None for the user's own code.

        Raises:
            InputError: when it can't be started, or can't train this experiment.
        """

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping.

        Args:
            dispatcher: keeps what the search can't go on without; it is raised by the caller.
            data: what built-in models are trained on; None for the user's own code.
        """

    def interrupt(self) -> None:
        """A signal asks to stop, and the dispatcher is stopping: called in a signal handler."""

    def processes(self) -> Sequence[ProcessAddress]:
        """The processes without which nothing can go on; none where there are no others."""
