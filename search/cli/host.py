"""The command line as the host of a session: its terminal, its signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from analysis.record.folder import RunFolder
from search.cli.console import ERR, doing
from search.cli.progress import Progress
from search.control.controller import Controller
from search.session import Host
from search.signals import interruptible
from spaces.experiment import Engine


class Terminal:
    """Shows a session on standard error.

    Args:
        engine: instead of the experiment's.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine
        self._progress: Progress | None = None

    def note(self, message: str) -> None:
        """Show a line."""
        if self._progress is None:
            ERR.print(message)
        else:
            self._progress.note(message)

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Show what is being done, as long as it takes."""
        return doing(what)

    @contextmanager
    def showing(self, controller: Controller, folder: RunFolder) -> Iterator[None]:
        """Show how trainings stand, as long as they go on."""
        try:
            experiment = controller.experiment
            is_inline = (self._engine or experiment.engine) == "inline"
            is_live = not (is_inline and experiment.trainable is not None)  # it prints here itself
            with Progress(controller, folder, is_live=is_live) as self._progress:
                yield
        finally:
            self._progress = None

    def update(self) -> None:
        """Show how they stand, when it is time to."""
        if self._progress is not None:
            self._progress.update()


def terminal_host(engine: Engine | None, address: str | None, verbose: bool) -> Host:
    """What a command's session runs in."""
    return Host(engine, address, verbose, Terminal(engine), interruptible)
