"""The plain transport: one Tune trial is one configuration; thin adapters without any logic."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from analysis.run import RunFolder
from analysis.trials import Trial
from search.cluster import Slots
from search.coordinator import Coordinator
from spaces.problems import RunError
from trainables.checkpoints import Checkpoints
from trainables.config import resolve
from trainables.data import Data
from trainables.tune_plain import Assignment, Outcome, PlainWorker

_CONTINUE: str = TrialScheduler.CONTINUE
_STOP: str = TrialScheduler.STOP
_FINISHED: str = Searcher.FINISHED


class View(Protocol):
    """What shows the search to a person."""

    def update(self) -> None:
        """Called several times a second."""

    def note(self, message: str) -> None:
        """Called with a line that should be read."""


class _Link:
    """The one object that Tune's adapters share.

    Tune deep-copies and pickles its searcher and scheduler: the link copies to itself and pickles
    to nothing, for the journal is what a run is brought back from.
    """

    def __init__(
        self, coordinator: Coordinator, folder: RunFolder, slots: Slots, view: View
    ) -> None:
        self.coordinator = coordinator
        self.folder = folder
        self.slots = slots
        self.view = view
        self.placed: dict[str, int] = {}  # Tune's trial id to our number, until the trial ends
        self.deaths: dict[str, str] = {}  # how a process died, by the Tune id of its trial
        self.fault: Exception | None = None
        self.is_waiting = False
        self.checkpoints = folder.checkpoints(coordinator.experiment.storage)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Link:
        return self

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    @contextmanager
    def keeping_fault(self) -> Iterator[None]:
        """Keep an exception, which Tune would swallow or wrap, until Tune has stopped."""
        try:
            yield
        except Exception as error:
            self.fault = self.fault or error

    @property
    def is_stopping(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.fault is not None or self.coordinator.must_stop_now

    def assignment(self, trial: Trial) -> Assignment:
        experiment = self.coordinator.experiment
        config = resolve(experiment, trial.params, trial.seed)
        return Assignment(
            trial=trial.number,
            config=config.model_dump(mode="json"),
            reported=trial.epoch,
            checkpoints=self.checkpoints,
            log_file=str(self.folder.log_file(trial.number).resolve()),
            epoch_timeout_seconds=experiment.epoch_timeout_seconds,
        )

    def take(self, number: int, outcome: Outcome) -> str:
        """Hand an outcome to the coordinator; returns Tune's word for the decision."""
        if outcome.printed:
            self._log(number, outcome.printed)
        if outcome.fault is not None:
            raise RunError(f"trial {number}: {outcome.fault}")
        if outcome.error is not None:
            self.fail(number, outcome.error)
            return _STOP
        if outcome.report is None:
            self.coordinator.end_early(number)
        else:
            report = outcome.report
            if outcome.checkpoint is not None:
                self.coordinator.checkpoint(number, report.epoch, outcome.checkpoint)
            decision = self.coordinator.report(number, report.epoch, report.metrics, report.steps)
            if decision == "continue":
                return _CONTINUE
        Checkpoints(self.checkpoints, number).keep_last(1)
        return _STOP

    def take_death(self, trial: TuneTrial, starts_again: bool) -> None:
        """Note that a trial's process died, and whether Tune starts it again.

        Of a process that dies between two trials Tune tells twice, and gives the second one up:
        that one is handed out anew.
        """
        number, error = _number(trial), _last_error(trial)
        if self.is_stopping:  # processes that end now died of no fault of theirs
            return
        if starts_again:
            self.deaths[trial.trial_id] = error
            self.coordinator.attempt(number, _reason(error))
            self.view.note(f"trial {number} starts again: {_reason(error)}")
        elif self.deaths.get(trial.trial_id) == error:
            self.coordinator.hand_back(number)
        else:
            self.fail(number, _reason(error))

    def fail(self, number: int, reason: str) -> None:
        """Note that a trial failed, and say so."""
        self.coordinator.end(number, "failed", reason)
        Checkpoints(self.checkpoints, number).keep_last(1)
        self._log(number, f"{reason.rstrip()}\n")
        self.view.note(f"trial {number} failed: {reason.strip().splitlines()[-1]}")

    def _log(self, number: int, text: str) -> None:
        self.folder.logs.mkdir(exist_ok=True)
        with self.folder.log_file(number).open("a", encoding="utf-8") as log:
            log.write(text)


class _Searcher(Searcher):  # type: ignore[misc]
    """Asks the coordinator for trials, as many as fit on the cluster."""

    def __init__(self, link: _Link) -> None:
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
        while not link.is_stopping and (trial := link.coordinator.next_trial()) is not None:
            try:
                assignment = link.assignment(trial)
            except ValueError as error:  # values that are valid alone, but not together
                link.fail(trial.number, str(error))
                continue
            link.placed[trial_id] = trial.number
            return {"assignment": assignment}
        return None if link.placed else _FINISHED  # one that is placed may be handed back

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._link.placed.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is what a run is brought back from."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called."""


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Hands every epoch's outcome to the coordinator."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        if self._link.fault is None:
            with self._link.keeping_fault():
                return self._link.take(_number(trial), result["outcome"])
        return _STOP


class _Callback(tune.Callback):  # type: ignore[misc]
    """Tells of dead processes, and lets the view show how things stand."""

    def __init__(self, link: _Link) -> None:
        self._link = link

    def on_step_end(self, **info: Any) -> None:
        link, slots = self._link, self._link.slots
        if slots.count() == 0 and not link.is_waiting:
            asked = f"{slots.cpus:g} CPUs and {slots.gpus:g} GPUs"
            link.view.note(f"waiting: no node of the cluster has the {asked} that a trial needs")
        link.is_waiting = slots.count() == 0
        link.view.update()

    def on_trial_start(self, trial: TuneTrial, **info: Any) -> None:
        left = self._link.coordinator.attempts_left(_number(trial))
        trial.max_failures = trial.num_failures + left  # Tune knows of this session's only

    def on_trial_recover(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.keeping_fault():
            self._link.take_death(trial, starts_again=True)

    def on_trial_error(self, trial: TuneTrial, **info: Any) -> None:
        with self._link.keeping_fault():
            self._link.take_death(trial, starts_again=False)


class _Stopper(tune.Stopper):  # type: ignore[misc]
    def __init__(self, link: _Link) -> None:
        self._link = link

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._link.is_stopping


def _number(trial: TuneTrial) -> int:
    assignment: Assignment = trial.config["assignment"]
    return assignment.trial


def _last_error(trial: TuneTrial) -> str:
    """What Ray said when a trial's process died; Tune appends it to a file."""
    file = Path(trial.error_file or "")
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return text.rpartition("Failure # ")[2].partition("\n")[2].strip()


def _reason(error: str) -> str:
    """Why a process died, in a line: the last one of a traceback, or the first."""
    lines = error.splitlines() or ["its process died"]
    return lines[-1 if "ray::" in lines[0] else 0].strip()


def run_plain(
    coordinator: Coordinator, folder: RunFolder, slots: Slots, data: Data | None, view: View
) -> None:
    """Search until the coordinator is done, or is told to stop.

    Args:
        coordinator: decides.
        folder: the run's files.
        slots: what a trial gets, and how many fit.
        data: given to every worker through Ray's object store; None for the user's own code.
        view: is shown how things stand.

    Raises:
        InputError: when the trainable does not report the metric of the search.
        RunError: when a worker can't write its checkpoints.
        OSError: when the run's files can't be written.
    """
    experiment = coordinator.experiment
    if experiment.trainable is not None:
        folder.logs.mkdir(exist_ok=True)
    link = _Link(coordinator, folder, slots, view)
    trainable = tune.with_resources(
        tune.with_parameters(PlainWorker, data=data), {"cpu": slots.cpus, "gpu": slots.gpus}
    )
    with tempfile.TemporaryDirectory(prefix="shoal-", ignore_cleanup_errors=True) as scratch:
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
                name="search",
                storage_path=scratch,
                stop=_Stopper(link),
                callbacks=[_Callback(link)],
                failure_config=tune.FailureConfig(max_failures=experiment.max_failures),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        ).fit()
    if link.fault is not None:
        raise link.fault
