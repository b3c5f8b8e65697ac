"""The Tune transport: one Tune trial is one configuration; thin adapters without any logic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler

from analysis.record.gpu_load import wants_gpu_memory
from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.functions import packed
from search.transport.on_ray.placed import Placed
from search.transport.on_ray.slots import Slots
from search.transport.on_ray.tune_internals import (
    CONTINUE,
    FINISHED,
    STOP,
    assignment_of,
    give,
    last_error,
    limit_restarts,
    pending,
    reserve,
    why_it_died,
)
from search.transport.on_ray.tuner import (
    Link,
    RayTransport,
    Unsaved,
    part_of_an_interruption,
    run_tuner,
)
from search.transport.packing.measurement import measure_shares
from spaces.experiment import Experiment
from spaces.given import Packed
from trainables.data.splits import Data
from trainables.worker.tune_worker import TuneWorker


class Tune(RayTransport):
    """Trains on a Ray cluster, or on one that is started on this machine.

    Args:
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
    """

    def __init__(self, address: str | None = None, verbose: bool = False) -> None:
        super().__init__(address, verbose)
        self._functions: dict[str, Packed] = {}

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """Ray while the work lasts."""
        self._functions = packed(experiment.trainable)
        with self.connected(experiment, view):
            yield

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        experiment, slots = dispatcher.experiment, self.slots
        link = _Link(dispatcher, slots)
        if experiment.resources.gpus == "pack":
            with part_of_an_interruption(dispatcher.controller):
                shared = measure_shares(dispatcher, data, self._functions)
            if shared is None:
                return
            slots.share(shared.trials)
        trainable = tune.with_resources(
            tune.with_parameters(
                TuneWorker, data=data, functions=self._functions, world_size=slots.workers
            ),
            lambda config: slots.reserved(config["is_alone"]),
        )
        run_tuner(link, trainable, _Searcher(link), _Scheduler(link), experiment.max_failures)


class _Link(Link):
    def __init__(self, dispatcher: Dispatcher, slots: Slots) -> None:
        super().__init__(dispatcher, slots)
        self.placed = Placed(slots, dispatcher.controller)
        self.deaths: dict[str, str] = {}  # how a process died, by the Tune id of its trial

    def started(self, trial: TuneTrial) -> None:
        """It starts again as often as the journal leaves it."""
        number = assignment_of(trial).trial
        limit_restarts(trial, self.dispatcher.controller.attempts_left(number))
        self.dispatcher.hung_trials.begin(number)
        self.placed.start(trial.trial_id)

    def died(self, trial: TuneTrial, starts_again: bool) -> None:
        """A trial's process died, and Tune starts it again, or not.

        Of a process that dies between two trials Tune tells twice, and gives the second one up:
        that one is handed out anew.
        """
        number, error = assignment_of(trial).trial, last_error(trial)
        if self.dispatcher.is_stopping:  # processes that end now died of no fault of theirs
            return
        if starts_again:
            self.deaths[trial.trial_id] = error
            # the process that starts again is told what has been reported by now
            give(trial, self.dispatcher.restarted(number, why_it_died(error)))
            self.placed.wait(trial.trial_id, number)
        elif self.deaths.get(trial.trial_id) == error:
            self.dispatcher.hung_trials.forget(number)
            self.dispatcher.controller.hand_back(number)
        else:
            self.dispatcher.given_up(number, why_it_died(error))


class _Searcher(Unsaved):
    """Asks the coordinator for trials, as many as fit on the cluster."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        with self._link.dispatcher.keeping_fault():
            return self._suggest(trial_id)
        return FINISHED

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        link = self._link
        if not link.placed.has_room:
            return None
        if (assignment := link.dispatcher.next()) is not None:
            number = assignment.trial
            link.placed.wait(trial_id, number)
            return {"assignment": assignment, "is_alone": link.placed.is_alone(number)}
        return None if link.placed else FINISHED  # one that is placed may be handed back

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        number = self._link.placed.end(trial_id)
        if number is not None:
            self._link.dispatcher.hung_trials.forget(number)


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Hands every epoch's outcome to the coordinator."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        dispatcher, number = self._link.dispatcher, assignment_of(trial).trial
        if dispatcher.fault is None:
            with dispatcher.keeping_fault():
                dispatcher.heard(number, f"pid {result.get('pid')} on {result.get('hostname')}")
                decision = dispatcher.take(number, result["outcome"])
                return CONTINUE if decision == "continue" else STOP
        return STOP

    def on_trial_error(self, controller: Any, trial: TuneTrial) -> None:
        """A process died: where memory of a GPU was wanting, the next one has a GPU for itself."""
        slots = self._link.slots
        if slots.trials_per_gpu > 1 and wants_gpu_memory(why_it_died(last_error(trial))):
            reserve(trial, slots.reserved(is_alone=True))

    def choose_trial_to_run(self, controller: Any) -> TuneTrial | None:
        """The next trial to start; Tune's own walks through all that ever were."""
        waiting = pending(controller)
        return min(waiting, key=lambda trial: assignment_of(trial).trial, default=None)
