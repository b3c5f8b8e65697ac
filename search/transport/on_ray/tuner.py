"""One run of Tune's: what both transports that work with Tune have in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from search.control.controller import Controller
from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.on_ray.cluster import on_cluster
from search.transport.on_ray.ray_processes import places_of_ray
from search.transport.on_ray.scratch import Scratch, scratch
from search.transport.on_ray.slots import Slots
from search.transport.on_ray.tune_internals import folder_in_session
from search.transport.processes import ProcessAddress
from spaces.experiment import Experiment


class RayTransport:
    """What has Tune train, on a Ray cluster or on one that is started on this machine.

    Args:
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
    """

    def __init__(self, address: str | None, verbose: bool) -> None:
        self._address = address
        self._verbose = verbose
        self._slots: Slots | None = None

    @contextmanager
    def connected(self, experiment: Experiment, view: View) -> Iterator[None]:
        """Ray while the work lasts."""
        with on_cluster(experiment, self._address, self._verbose, view) as self._slots:
            yield

    @property
    def slots(self) -> Slots:
        """How many trials fit on the cluster."""
        assert self._slots is not None, "not opened"
        return self._slots

    def interrupt(self) -> None:
        """Nothing: Tune asks the dispatcher several times a second."""

    def processes(self) -> Sequence[ProcessAddress]:
        """The head of the cluster, and this machine's own node."""
        return places_of_ray()


class Link(ABC):
    """The one object that Tune's adapters share.

    Tune deep-copies and pickles its searcher and scheduler: the link copies to itself and pickles
    to nothing, for the journal is what a run is brought back from.
    """

    def __init__(self, dispatcher: Dispatcher, slots: Slots) -> None:
        self.dispatcher = dispatcher
        self.slots = slots
        self.is_waiting = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Link:
        return self

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    @abstractmethod
    def started(self, trial: TuneTrial) -> None:
        """A process has taken a trial of Tune's."""

    @abstractmethod
    def died(self, trial: TuneTrial, starts_again: bool) -> None:
        """The process of a trial of Tune's died, and Tune starts it again, or not."""


def run_tuner(
    link: Link,
    trainable: Callable[..., Any] | type[tune.Trainable],
    searcher: Searcher,
    scheduler: TrialScheduler,
    max_failures: int,
) -> None:
    """Let Tune work until the searcher has nothing more, or the dispatcher is stopping.

    Args:
        link: what searcher and scheduler share.
        trainable: with its resources and parameters.
        max_failures: how often Tune starts a process again; -1: always.
    """
    with scratch() as held, part_of_an_interruption(link.dispatcher.controller):
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=searcher,
                scheduler=scheduler,
                reuse_actors=not link.dispatcher.experiment.isolate,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=held.name,
                storage_path=str(held.path),
                stop=Stopper(link),
                callbacks=[Callback(link, held)],
                progress_reporter=_Silent(),
                failure_config=tune.FailureConfig(max_failures=max_failures),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()


class Unsaved(Searcher):  # type: ignore[misc]
    """A searcher that Tune can't save: the journal is what a run is brought back from."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called."""


class Callback(tune.Callback):  # type: ignore[misc]
    """Tells of dead processes, and lets the view show how things stand."""

    def __init__(self, link: Link, scratch: Scratch) -> None:
        self._link = link
        self._scratch = scratch

    def on_step_end(self, trials: Sequence[TuneTrial], **info: Any) -> None:
        if trials and (folder := folder_in_session(trials[-1])) is not None:
            self._scratch.note(folder)
        link, slots = self._link, self._link.slots
        if slots.count() == 0 and not link.is_waiting:
            link.dispatcher.view.note(f"waiting: {slots.shortage}")
        link.is_waiting = slots.count() == 0
        link.dispatcher.look_for_hung_trials(time.monotonic())
        link.dispatcher.view.update()

    def on_trial_start(self, trial: TuneTrial, **info: Any) -> None:
        self._link.started(trial)

    def on_trial_recover(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.dispatcher.keeping_fault():
            self._link.died(trial, starts_again=True)

    def on_trial_error(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.dispatcher.keeping_fault():
            self._link.died(trial, starts_again=False)


class _Silent(tune.ProgressReporter):  # type: ignore[misc]
    """Shows nothing: Tune's own reporter for notebooks would clear the cell."""

    def should_report(self, trials: Sequence[TuneTrial], done: bool = False) -> bool:
        return False

    def report(self, trials: Sequence[TuneTrial], done: bool, *system: str) -> None:
        """Never called."""


class Stopper(tune.Stopper):  # type: ignore[misc]
    """Ends all when the dispatcher is stopping."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._link.dispatcher.is_stopping


@contextmanager
def part_of_an_interruption(controller: Controller) -> Iterator[None]:
    """Take an error as a part of the interruption, where there is one.

    What ends a search may end Ray's processes as well, and then Tune fails in any way. Errors of
    the run's own files are none of Tune's: the dispatcher has kept them.
    """
    try:
        yield
    except Exception:
        if not controller.is_interrupted:
            raise
