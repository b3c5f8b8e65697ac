"""One session of work on a run: what opens and closes around it, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import optuna
import torch

from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.record.lock import locked
from analysis.views.projection import open_projections
from search.control.controller import Controller
from search.control.dispatcher import Dispatcher
from search.control.view import Logged, View
from search.folders import remove_beginning
from search.transport.environment import prepare_environment
from search.transport.interface import Transport
from spaces.experiment import Engine, Experiment
from spaces.problems import InputError, RunError
from trainables.checkpoints.checkpoints import Checkpoints, StorageError
from trainables.data.splits import Data

Guard: TypeAlias = Callable[[Controller, Transport, str], AbstractContextManager[None]]


def unguarded(controller: Controller, transport: Transport, again: str) -> nullcontext[None]:
    """No signal handlers: Ctrl-C is a KeyboardInterrupt, as in a notebook."""
    return nullcontext()


@dataclass(frozen=True)
class Host:
    """What a session runs in: a command line, a notebook, a test.

    ``engine``: instead of the experiment's; ``address``: of a Ray cluster, None: this machine;
    ``verbose``: let Ray's own messages through; ``view``: shows how things stand; ``guard``: around
    the trainings, given the command that goes on; ``transport``: instead of what the engine names.
    """

    engine: Engine | None = None
    address: str | None = None
    verbose: bool = False
    view: View = field(default_factory=Logged)
    guard: Guard = unguarded
    transport: Transport | None = None

    def transport_of(self, experiment: Experiment) -> Transport:
        """What trains an experiment.

        Raises:
            InputError: when a cluster is named that the engine does not use.
        """
        if self.transport is not None:
            return self.transport
        engine = self.engine or experiment.engine
        if engine == "inline":
            if self.address is not None:
                raise InputError("engine: inline uses no cluster", "--address")
            from search.transport.inline import Inline

            return Inline()
        if engine == "fused" and self.address is None and torch.cuda.device_count() <= 1:
            from search.transport.lanes.fused import Fused

            return Fused()
        if engine == "auto" and self.address is None:
            from search.transport.auto import Auto

            return Auto(self.verbose)
        prepare_environment(self.address)  # Ray reads it as it is imported
        from search.transport.lanes.groups import Groups
        from search.transport.on_ray.tune import Tune

        transport = Groups if engine == "fused" else Tune
        return transport(self.address, self.verbose)


DEFAULT_HOST = Host()  # nobody watches


class Session:
    """A run whose journal is open, and which nobody else writes.

    Args:
        folder: the run.
        experiment: what is trained.
        journal: is open.
        host: what the session runs in.
        transport: what trains.
        again: the command that goes on.
        is_new: whether the run begins with it.
    """

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        journal: Journal,
        host: Host,
        transport: Transport,
        again: str,
        is_new: bool,
    ) -> None:
        self.folder = folder
        self.experiment = experiment
        self.journal = journal
        self._host = host
        self._transport = transport
        self._again = again
        self._is_new = is_new

    def train(
        self,
        controller: Controller,
        data: Data | None,
        begin: Callable[[], None] = lambda: None,
        part: RunFolder | None = None,
    ) -> None:
        """Train what a controller hands out, until nothing is left or it is interrupted.

        Args:
            controller: has taken in what the journal has.
            data: what built-in models are trained on.
            begin: writes the first event of the session; nothing is written before the transport
                has started.
            part: where the files of these trainings go; left out: to the run.

        Raises:
            InputError: when the transport can't be started.
            RunError: when the run's storage failed, or what is trained does at once.
            OSError: when the run's files can't be written.
        """
        part = part or self.folder
        transport = self._transport.opened(self.experiment, self._host.view, data)
        with transport, self.guarded(controller):
            try_storage(self.experiment, part)
            if self._is_new:
                begin()  # before it, the folder of a run holds nothing that would stay
            else:
                with controller.projecting(open_projections(self.folder, self.experiment)):
                    begin()  # after it, a session that can't write its views would change the run
            with _closing(controller):
                if self._is_new:
                    controller.projections = open_projections(self.folder, self.experiment)
                dispatcher = Dispatcher(controller, part, self._host.view)
                with self._host.view.showing(controller, part), dispatcher.working():
                    self._transport.run(dispatcher, data)

    def guarded(self, controller: Controller) -> AbstractContextManager[None]:
        """Around all that may be interrupted."""
        return self._host.guard(controller, self._transport, self._again)


@contextmanager
def opened(
    folder: RunFolder, experiment: Experiment, host: Host, again: str, is_new: bool = False
) -> Iterator[Session]:
    """Lock a run, and open its journal.

    Args:
        folder: the run.
        experiment: what is trained.
        host: what the session runs in.
        again: the command that goes on.
        is_new: whether the run begins now.

    Raises:
        InputError: when another process writes it.
        RunError: when its disk or its storage failed.
    """
    transport = host.transport_of(experiment)
    with quiet_optuna(), _faults_in_a_line(folder, again), locked(folder.path, is_new):
        if is_new and folder.has_begun:  # by a search that was given the same name just now
            raise InputError(f"{folder.path} holds a run by now; name another one with --run")
        with closing(Journal(folder.journal_file)) as journal:
            try:
                yield Session(folder, experiment, journal, host, transport, again, is_new)
            except BaseException:
                if journal.is_empty:
                    remove_beginning(folder)
                raise


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep the lines away that Optuna logs of each study."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def try_storage(experiment: Experiment, folder: RunFolder) -> bool:
    """Make the place for checkpoints, and say whether it is empty."""
    try:
        return Checkpoints(folder.checkpoints(experiment.storage), 0).try_root()
    except StorageError as error:
        raise InputError(str(error)) from None


@contextmanager
def _closing(controller: Controller) -> Iterator[None]:
    """Note how the trainings ended, whatever happens."""
    try:
        yield
    except KeyboardInterrupt:
        controller.is_interrupted = True
        with suppress(OSError, RunError):
            controller.close()
        raise
    except BaseException:
        with suppress(OSError, RunError):  # a full disk, a journal that is gone: it just ends
            controller.close(reason="error")
        raise
    controller.close()


@contextmanager
def _faults_in_a_line(folder: RunFolder, again: str) -> Iterator[None]:
    """Say in a line what the work can't go on without; ``again``: the command that goes on."""
    try:
        yield
    except (OSError, RunError) as error:
        what = str(error)
        if isinstance(error, OSError):
            what = f"{error.filename or folder.path} can't be written: {error.strerror or error}"
        if folder.has_begun:
            what += f"\nonce that is mended, go on with: {again}"
        raise RunError(what) from None
