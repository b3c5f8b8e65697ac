"""A real search of a few seconds: some configurations, each trained for a few epochs."""

from __future__ import annotations

import math
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from analysis.record.events import Created, Event, Finished, Report, Started
from analysis.record.folder import RunFolder
from analysis.record.journal import each_event
from analysis.record.trials import Trials
from search.control.choices import Choice
from search.control.controller import Controller
from search.control.coordinator import Coordinator
from search.control.sampler import Proposal
from search.control.view import Note
from search.session import Host, opened
from search.transport.inline import Inline, Trainer
from spaces.experiment import Budget, Experiment
from spaces.problems import RunError
from spaces.resources import Resources
from spaces.scheduler import Scheduler
from spaces.space import Drawn
from trainables.data.splits import Data
from trainables.worker.messages import Assignment, Outcome


@dataclass(frozen=True)
class Brief:
    """What was seen.

    ``times``: for each configuration that reported, by its place among those given, when its trial
    was created and when it ended each epoch, in seconds; ``last_epoch``: after which trainings end
    of their own accord, None where one of them would have gone on; ``checkpoint_bytes``: of a
    trial's newest checkpoint; ``run_bytes``: of journal and TensorBoard files, for each report.
    """

    times: dict[int, list[float]]
    last_epoch: int | None
    checkpoint_bytes: float
    run_bytes: float


@dataclass(frozen=True)
class Extent:
    """How long each trial trains: ``epochs`` at least, and until ``seconds`` have passed.

    ``most_seconds``: after so many, one epoch is enough; ``all_seconds``: no other trial begins.
    """

    epochs: int
    seconds: float = 0.0
    most_seconds: float = math.inf
    all_seconds: float = math.inf


def search_briefly(
    experiment: Experiment,
    given: Sequence[Drawn],
    data: Data | None,
    extent: Extent,
    make_trainer: Callable[[Data | None], Trainer],
    note: Note,
    again: str,
    slots: int = 1,
) -> Brief:
    """Train configurations as a search does, with journal and checkpoints.

    Args:
        experiment: what is planned.
        given: the configurations, the baseline first where there is one.
        data: what built-in models are trained on.
        extent: how long.
        make_trainer: makes what trains, for each slot.
        note: is told what should be known, such as that a trial failed.
        again: the command that plans again.
        slots: how many trials are trained side by side.

    Raises:
        RunError: when the baseline fails, or all of them.
    """
    experiment = _shortened(experiment)
    with tempfile.TemporaryDirectory(prefix="shoal-plan-") as scratch:
        folder = RunFolder(Path(scratch, experiment.name))
        folder.path.mkdir()
        transport = Inline(slots, trainer=lambda data: _Briefly(make_trainer(data), extent))
        host = Host(view=_Notes(note), transport=transport)
        with opened(folder, experiment, host, again, is_new=True) as session:
            choices = Given(experiment, given, extent.all_seconds)
            coordinator = Coordinator(experiment, session.journal, choices)
            began = Started(spec=experiment.plain(), versions={}, host=platform.node())
            session.train(coordinator, data, lambda: coordinator.start(began))
        _check_trained(coordinator.trials, experiment.baseline is not None, again)
        return _seen(folder)


def _shortened(experiment: Experiment) -> Experiment:
    """The same training in this process, with a rung that stops nobody."""
    gpus = experiment.resources.gpus
    rung = experiment.scheduler.min_epochs
    return experiment.model_copy(
        update={
            "scheduler": Scheduler(
                min_epochs=rung,
                max_epochs=experiment.scheduler.max_epochs,
                reduction_factor=10**6,
            ),
            "budget": Budget(),
            "repeats": 1,
            "confirm": None,
            "storage": None,
            "isolate": False,
            "epoch_timeout_seconds": None,
            "resources": Resources(cpus=experiment.resources.cpus, gpus=0 if gpus == 0 else "auto"),
        }
    )


def _check_trained(trials: Trials, has_baseline: bool, again: str) -> None:
    """See that there is something to plan with.

    Raises:
        RunError: when the baseline failed before its first report, or all did.
    """
    failed = [trial for trial in trials if not trial.reports]
    if len(failed) < len(trials) and not (has_baseline and failed and failed[0].number == 0):
        return
    what = "the baseline" if has_baseline else "each configuration that was tried"
    reason = (failed[0].reason or "").rstrip()
    raise RunError(
        f"{what} failed before its first report:\n{reason}\nonce that is mended: {again}"
    )


def _seen(folder: RunFolder) -> Brief:
    times: dict[int, list[float]] = {}
    ends: dict[int, int | None] = {}  # of own accord, by trial
    for event in each_event(folder.journal_file):
        if isinstance(event, Created | Report):
            times.setdefault(event.trial, []).append(event.time)
        if isinstance(event, Report):
            ends[event.trial] = event.epoch if event.last else None
    epochs = [epoch for epoch in ends.values() if epoch is not None]
    last_epoch = max(epochs) if epochs and len(epochs) == len(ends) else None
    times = {trial: held for trial, held in times.items() if len(held) > 1}
    reports = sum(len(held) - 1 for held in times.values())
    newest = [max(place.iterdir(), default=None) for place in folder.own_checkpoints.iterdir()]
    sizes = [file.stat().st_size for file in newest if file is not None]
    views = [folder.journal_file, folder.optuna_log, *folder.tensorboard.rglob("*")]
    written = sum(file.stat().st_size for file in views if file.is_file())
    checkpoint_bytes = sum(sizes) / max(1, len(sizes))
    return Brief(times, last_epoch, checkpoint_bytes, written / max(1, reports))


class _Briefly:
    """Trains as a worker does, but ends each trial early.

    Args:
        trainer: trains.
        extent: for how long.
    """

    def __init__(self, trainer: Trainer, extent: Extent) -> None:
        self._trainer = trainer
        self._extent = extent

    def take(self, assignment: Assignment) -> None:
        """Take the next trial."""
        self._began, self._epochs = time.perf_counter(), 0
        self._trainer.take(assignment)

    def step(self) -> Outcome:
        """Train an epoch, or do as if the training had ended."""
        passed = time.perf_counter() - self._began
        least = 1 if passed >= self._extent.most_seconds else self._extent.epochs
        if self._epochs >= least and passed >= self._extent.seconds:
            return Outcome(None)
        self._epochs += 1
        return self._trainer.step()

    def close(self) -> None:
        """End the training."""
        self._trainer.close()


class Given:
    """Hands out given configurations, the first ones first.

    Args:
        experiment: whose they are.
        given: the configurations.
        seconds: after which it hands out no more.
    """

    def __init__(
        self, experiment: Experiment, given: Sequence[Drawn], seconds: float = float("inf")
    ) -> None:
        self._space = experiment.search_space
        self._given = given
        self._ends = time.perf_counter() + seconds
        self._begun = 0
        self.is_exhausted = False

    def next(self, may_begin: bool) -> Choice:
        """The next of them."""
        is_late = self._begun > 0 and time.perf_counter() > self._ends
        self.is_exhausted = is_late or self._begun == len(self._given)
        if self.is_exhausted:
            return Choice(None, None)
        params, settings = self._given[self._begun]
        drawn_from = self._space.distributions_of(params) if self._space.is_function else None
        return Choice(Proposal(params, drawn_from, settings), None)

    def take(self, event: Event) -> None:
        """Note that one has begun; where the baseline fails, no other does."""
        self._begun += isinstance(event, Created)
        if isinstance(event, Finished) and event.trial == 0 and event.state == "failed":
            self._begun = len(self._given)


class _Notes:
    """Shows what a session notes, and nothing else.

    Args:
        note: is given each line.
    """

    def __init__(self, note: Note) -> None:
        self.note = note

    def doing(self, what: str) -> AbstractContextManager[None]:
        """Show nothing."""
        return nullcontext()

    def showing(self, controller: Controller, folder: RunFolder) -> AbstractContextManager[object]:
        """Show nothing."""
        return nullcontext()

    def update(self) -> None:
        """Show nothing."""
