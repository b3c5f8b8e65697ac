"""Real sessions without Ray: the inline transport, stopped where a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from analysis.record.folder import RunFolder
from search.control.controller import Controller
from search.control.coordinator import Coordinator
from search.control.view import Silent
from search.lifecycle import resume_search, start_search
from search.run_context import DEFAULT_TERMS, Terms
from search.session import Host
from search.transport.inline import Inline
from spaces.experiment import Experiment


def stopping_after(steps: int) -> Callable[[Sequence[int]], int]:
    """The order of one trial after the other; Ctrl-C comes after so many epochs."""
    left = iter(range(steps))

    def choose(running: Sequence[int]) -> int:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return running[0]

    return choose


class StopsAfter(Silent):
    """Interrupts a session, as Ctrl-C does, once the run has so many epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Note what is trained."""
        self._controller = controller
        return nullcontext()

    def update(self) -> None:
        """Interrupt it, when it is time to."""
        if self._controller.trials.epochs >= self._epochs:
            self._controller.is_interrupted = True


def host(view: Silent | None = None, steps: int | None = None) -> Host:
    """A host without a terminal; with ``steps`` the session is interrupted after so many epochs."""
    transport = Inline() if steps is None else Inline(choose=stopping_after(steps))
    return Host(view=view or Silent(), transport=transport)


def interrupted(experiment: Experiment, folder: RunFolder, steps: int) -> None:
    """Search, and be interrupted after so many epochs."""
    with suppress(KeyboardInterrupt):
        start_search(experiment, folder, host(steps=steps))


def resumed(
    folder: RunFolder, view: Silent | None = None, terms: Terms = DEFAULT_TERMS
) -> Coordinator:
    """Go on with a run to its end."""
    return resume_search(folder, host=host(view), terms=terms)
