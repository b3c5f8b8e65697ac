"""The plain transport: one Tune trial is one configuration; thin adapters without any logic."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from analysis.record.folder import RunFolder
from search.control.controller import Trainings
from search.transport.cluster import Slots
from search.transport.link import STOP, Link, View, number_of
from search.transport.scratch import Scratch, scratch
from spaces.links import unlinked
from trainables.data.splits import Data
from trainables.worker.tune_worker import PlainWorker

_FINISHED: str = Searcher.FINISHED


class _Searcher(Searcher):  # type: ignore[misc]
    """Asks the coordinator for trials, as many as fit on the cluster."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        with self._link.keeping_fault():
            return self._suggest(trial_id)
        return _FINISHED

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        link = self._link
        if len(link.placed) >= max(1, link.slots.count()):  # one waits where none fits yet
            return None
        while not link.is_stopping and (trial := link.trainings.next_trial()) is not None:
            if (assignment := link.assignment(trial)) is not None:
                link.placed[trial_id] = trial.number
                return {"assignment": assignment}
        return None if link.placed else _FINISHED  # one that is placed may be handed back

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        number = self._link.placed.pop(trial_id, None)
        if number is not None:
            self._link.silences.forget(number)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is what a run is brought back from."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called."""


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Hands every epoch's outcome to the coordinator."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        if self._link.fault is None:
            with self._link.keeping_fault():
                self._link.heard(number_of(trial), result)
                return self._link.take(number_of(trial), result["outcome"])
        return STOP

    def choose_trial_to_run(self, controller: Any) -> TuneTrial | None:
        """The next trial to start; Tune's own walks through all that ever were."""
        live = controller.get_live_trials()
        pending = (trial for trial in live if trial.status == TuneTrial.PENDING)
        return min(pending, key=number_of, default=None)


class _Callback(tune.Callback):  # type: ignore[misc]
    """Tells of dead processes, and lets the view show how things stand."""

    def __init__(self, link: Link, scratch: Scratch) -> None:
        self._link = link
        self._scratch = scratch

    def on_step_end(self, trials: Sequence[TuneTrial], **info: Any) -> None:
        if trials and trials[-1].local_path is not None:  # …/<experiment>/driver_artifacts/<trial>
            self._scratch.note(Path(trials[-1].local_path).parents[1])
        link, slots = self._link, self._link.slots
        if slots.count() == 0 and not link.is_waiting:
            asked = f"{slots.cpus:g} CPUs and {slots.gpus:g} GPUs"
            link.view.note(f"waiting: no node of the cluster has the {asked} that a trial needs")
        link.is_waiting = slots.count() == 0
        link.tell_silent(time.monotonic())
        link.view.update()

    def on_trial_start(self, trial: TuneTrial, **info: Any) -> None:
        left = self._link.trainings.attempts_left(number_of(trial))
        self._link.silences.begin(number_of(trial))
        trial.max_failures = trial.num_failures + max(0, left)  # Tune knows of this session's only

    def on_trial_recover(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.keeping_fault():
            self._link.take_death(trial, starts_again=True)

    def on_trial_error(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.keeping_fault():
            self._link.take_death(trial, starts_again=False)


class _Stopper(tune.Stopper):  # type: ignore[misc]
    def __init__(self, link: Link) -> None:
        self._link = link

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._link.is_stopping


@contextmanager
def _interruption_told(trainings: Trainings) -> Iterator[None]:
    """Take an error as a part of the interruption, where there is one.

    What ends a search may end Ray's processes as well, and then Tune fails in any way. Errors of
    the run's own files are none of Tune's: the link has kept them.
    """
    try:
        yield
    except Exception:
        if not trainings.is_interrupted:
            raise


def run_plain(
    trainings: Trainings, folder: RunFolder, slots: Slots, data: Data | None, view: View
) -> None:
    """Search until the coordinator is done, or is told to stop.

    Args:
        trainings: what to train, one after the other.
        folder: the run's files.
        slots: what a trial gets, and how many fit.
        data: given to every worker through Ray's object store; None for the user's own code.
        view: is shown how things stand.

    Raises:
        InputError: when the trainable does not report the metric of the search.
        RunError: when a worker can't write its checkpoints.
        OSError: when the run's files can't be written.
    """
    experiment = trainings.experiment
    if experiment.trainable is not None:
        folder.logs.mkdir(parents=True, exist_ok=True)
    for log in folder.logs.glob("*"):  # the workers write on in them
        unlinked(log, folder.path)
    link = Link(trainings, folder, slots, view)
    trainable = tune.with_resources(
        tune.with_parameters(PlainWorker, data=data), {"cpu": slots.cpus, "gpu": slots.gpus}
    )
    with scratch() as held, _interruption_told(trainings):
        tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=_Searcher(link),
                scheduler=_Scheduler(link),
                reuse_actors=not experiment.isolate,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name=held.name,
                storage_path=str(held.path),
                stop=_Stopper(link),
                callbacks=[_Callback(link, held)],
                failure_config=tune.FailureConfig(max_failures=experiment.max_failures),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
    link.conclude()
    if link.fault is not None:
        raise link.fault
    if not trainings.is_interrupted:
        trainings.first_failures.check(trainings.noun)
