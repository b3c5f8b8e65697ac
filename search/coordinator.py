"""The coordinator: hands out trials, takes their reports, decides; the journal comes first."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from analysis.events import (
    Attempt,
    CheckpointSaved,
    Created,
    Decision,
    Ended,
    Event,
    Finished,
    Report,
    Resumed,
    Started,
    State,
)
from analysis.journal import Journal
from analysis.projection import Projection
from analysis.run import Trial, Trials
from search.budget import SOFT, extended, spent_limits
from search.rungs import Rungs
from search.sampler import Sampler, finite_values
from spaces.experiment import Budget, Experiment
from spaces.problems import InputError, unknown_name
from spaces.seeds import derive_seed


class Coordinator:
    """All decisions of a search, in either transport.

    Every event is written to the journal before it is acted on, and a run is resumed by taking
    the same events in again.

    Args:
        experiment: the search.
        journal: where events are written.
    """

    def __init__(self, experiment: Experiment, journal: Journal) -> None:
        self.experiment = experiment
        self.trials = Trials()
        self.rungs = Rungs(experiment.scheduler, experiment.metric)
        self.budget = experiment.budget
        self.is_interrupted = False
        self.projections: Sequence[Projection] = ()  # are given every event from now on
        self._sampler = Sampler(experiment)
        self._journal = journal
        self._unfinished: list[Trial] = []
        self._is_exhausted = False
        self._end_reason: str | None = None

    def start(self, started: Started) -> None:
        """Begin a new run."""
        self._write(started)

    def resume(self, events: Iterable[Event], trials: int = 0, hours: float = 0.0) -> None:
        """Take the events of a run in and go on where they end.

        Args:
            events: the journal's.
            trials: so many more than the budget has.
            hours: so many more than the budget has.

        Raises:
            InputError: when the budget is spent and nothing was added.
        """
        for event in events:
            self._replay(event)
        seconds = self.trials.seconds()
        spent = spent_limits(self.budget, self.experiment.metric, self.trials, seconds)
        self._unfinished = [trial for trial in self.trials if trial.state == "running"]
        if self.trials.ended is not None and self.trials.ended.reason == "space":
            raise InputError("the run is finished: every combination of its grid was tried")
        if trials or hours:
            so_far = len(self.trials), seconds / 3600
            self.budget = extended(self.budget, spent, *so_far, trials, hours)
        elif spent and (not self._unfinished or set(spent) - set(SOFT)):
            limits = ", ".join(f"{name} ({getattr(self.budget, name)})" for name in spent)
            raise InputError(
                f"the run is finished, its budget is spent: {limits}; "
                "--trials or --hours extends it"
            )
        self._write(Resumed(budget=self.budget.model_dump(exclude_none=True)))
        for trial in list(self._unfinished):  # stopped as the process died, not finished yet
            if trial.reports and trial.reports[-1].decision == "stop":
                self._finish(trial, self._state_after(trial.reports[-1]), None)
                self._unfinished.remove(trial)

    def next_trial(self) -> Trial | None:
        """The next configuration to train: unfinished ones first, then a new one.

        Returns None when there is none for now, because the budget is spent or the search is being
        interrupted; ``is_over`` says whether there will be none any more.
        """
        if self.is_interrupted or self._hard_limit() is not None:
            return None
        if self._unfinished:
            return self._unfinished.pop(0)
        if self._is_exhausted or self._is_spent():
            return None
        number = len(self.trials)
        params = self._sampler.ask(number)
        if params is None:
            self._is_exhausted = True
            return None
        seed = derive_seed(self.experiment.seed, "trial", number)
        self._write(Created(trial=number, params=params, seed=seed))
        return self.trials.by_number[number]

    def report(
        self,
        number: int,
        epoch: int,
        metrics: dict[str, float],
        steps: Sequence[tuple[int, float]] = (),
    ) -> Decision:
        """Take the report of an epoch and decide whether the trial goes on.

        A report that the journal already has gets the decision that was recorded.

        Args:
            number: the trial's.
            epoch: the epoch that it ended, from 1.
            metrics: by name.
            steps: (optimizer step, mean training loss of the last 50 steps).

        Raises:
            InputError: when the metric of the search is not among them.
        """
        trial = self.trials.by_number[number]
        if epoch <= trial.epoch:
            return trial.reports[epoch - trial.reports[0].epoch].decision
        name = self.experiment.metric.name
        if name not in metrics:
            raise InputError(f"metric.name: {unknown_name('metric', name, metrics)}")
        decision = self._decide(trial, epoch, metrics)
        report = Report(
            trial=number, epoch=epoch, metrics=metrics, decision=decision, steps=list(steps)
        )
        self._write(report)
        if decision == "stop":
            self._finish(trial, self._state_after(report), None)
        return decision

    def checkpoint(self, number: int, epoch: int, path: str) -> None:
        """Note that a trial can go on from a checkpoint."""
        self._write(CheckpointSaved(trial=number, epoch=epoch, path=path))

    def attempt(self, number: int, reason: str) -> None:
        """Note that a trial's process died and is started again."""
        self._write(Attempt(trial=number, reason=reason))

    def end(self, number: int, state: State, reason: str | None = None) -> None:
        """Note that a trial ended in a way that no report tells."""
        trial = self.trials.by_number[number]
        if trial.state == "running":
            self._finish(trial, state, reason)

    def end_early(self, number: int) -> None:
        """Note that a trial's code returned before max_epochs."""
        if self.trials.by_number[number].reports:
            self.end(number, "completed")
        else:
            self.end(number, "failed", "the code ended before it reported an epoch")

    def close(self, reason: str | None = None) -> None:
        """Note that the searching ends, and why; left out: the limit reached, or interrupted."""
        if reason is None:
            self._spent()
            reason = "interrupted" if self.is_interrupted else self._end_reason or "space"
        self._write(Ended(reason=reason))
        for projection in self.projections:
            projection.close()

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be handed out."""
        if self.is_interrupted or self._hard_limit() is not None:
            return True
        return not self._unfinished and (self._is_exhausted or self._is_spent())

    @property
    def is_finished(self) -> bool:
        """Whether every trial has ended and none will come."""
        return self.is_over and self.trials.counts()["running"] == 0

    @property
    def must_stop_now(self) -> bool:
        """Whether running trials shall stop where they are."""
        return self.is_interrupted or self._hard_limit() is not None

    def _decide(self, trial: Trial, epoch: int, metrics: dict[str, float]) -> Decision:
        if _is_diverged(metrics, self.experiment.metric.name):
            self.rungs.arrive(trial.number, epoch, math.nan)
            return "stop"
        value = self._value_so_far(trial, metrics)
        decision = self.rungs.arrive(trial.number, epoch, value)
        if epoch >= self.experiment.scheduler.max_epochs:
            return "stop"
        is_baseline = trial.number == 0 and self.experiment.baseline is not None
        return "continue" if is_baseline else decision

    def _value_so_far(self, trial: Trial, metrics: dict[str, float]) -> float:
        metric = self.experiment.metric
        value = metrics[metric.name]
        best = trial.scored(metric)
        if metric.scope == "best" and best is not None:
            before = best.metrics[metric.name]
            return before if metric.better(before, value) else value
        return value

    def _state_after(self, report: Report) -> State:
        """The state of a trial whose last report is this one, with decision stop."""
        if _is_diverged(report.metrics, self.experiment.metric.name):
            return "diverged"
        return "completed" if report.epoch >= self.experiment.scheduler.max_epochs else "stopped"

    def _finish(self, trial: Trial, state: State, reason: str | None) -> None:
        assert state != "running"
        self._write(Finished(trial=trial.number, state=state, epoch=trial.epoch, reason=reason))
        self._tell(trial)

    def _tell(self, trial: Trial) -> None:
        metric = self.experiment.metric
        values = finite_values({r.epoch: r.metrics[metric.name] for r in trial.reports})
        if metric.scope == "best":
            values = _best_so_far(values, metric.mode == "min")
        worst = self.trials.worst(metric)
        self._sampler.tell(trial.number, trial.state, values, worst)

    def _replay(self, event: Event) -> None:
        """Take an event of the journal in, as if it were happening now."""
        match event:
            case Created():
                self._sampler.restore(event.trial, event.params)
            case Report():
                self._decide(self.trials.by_number[event.trial], event.epoch, event.metrics)
            case Resumed():
                self.budget = Budget.model_validate(event.budget)
        self.trials.apply(event)
        if isinstance(event, Finished):
            self._tell(self.trials.by_number[event.trial])

    def _write(self, event: Event) -> None:
        written = self._journal.append(event)
        self.trials.apply(written)
        for projection in self.projections:
            projection.write(written, self.trials)

    def _spent(self) -> list[str]:
        """The limits reached now; the first ever reached is why the search ends."""
        seconds = self.trials.seconds(time.time())
        spent = spent_limits(self.budget, self.experiment.metric, self.trials, seconds)
        if spent and self._end_reason is None:
            self._end_reason = spent[0]
        return spent

    def _is_spent(self) -> bool:
        return self._end_reason is not None or bool(self._spent())

    def _hard_limit(self) -> str | None:
        return next((limit for limit in self._spent() if limit not in SOFT), None)


def _is_diverged(metrics: dict[str, float], name: str) -> bool:
    watched = (value for key, value in metrics.items() if key == name or key.endswith("loss"))
    return not all(map(math.isfinite, watched))


def _best_so_far(values: dict[int, float], is_min: bool) -> dict[int, float]:
    best: dict[int, float] = {}
    for epoch, value in values.items():
        previous = list(best.values())[-1:]
        best[epoch] = (min if is_min else max)([value, *previous])
    return best
