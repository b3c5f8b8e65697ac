"""The decisions of a search, pure: the same events in the same order give the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from analysis.record.events import Created, Decision, Event, Finished, Report, Resumed, State
from analysis.record.trials import Trial, Trials
from search.control.asha import Rungs
from search.control.budget import spent_limits
from spaces.experiment import Budget, Experiment
from spaces.sections import parse_section
from spaces.seeds import derive_seed
from trainables.diagnostics.divergence import has_exploded

_LOSSES = ("train_loss", "val_loss")


class Rules:
    """How a run stands, and what follows from it; holds no clock, no file and no chance.

    Args:
        experiment: the search.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.trials = Trials()
        self.rungs = Rungs(experiment.scheduler, experiment.metric)
        self.budget = experiment.budget
        self.ending: dict[int, State] = {}  # by trial told to stop: the state it shall end in

    def seed(self, number: int) -> int:
        """The seed of a trial."""
        return derive_seed(self.experiment.seed, "trial", number)

    def judge(
        self, number: int, epoch: int, metrics: Mapping[str, float], is_last: bool = False
    ) -> Decision:
        """Decide whether a trial goes on, which ends its next epoch; a rung counts it from now on.

        Args:
            number: the trial's.
            epoch: the epoch.
            metrics: by name.
            is_last: whether the training ends with it, of its own accord.
        """
        trial = self.trials.by_number[number]
        if self.why_diverged(trial, metrics) is not None:
            self.rungs.arrive(number, epoch, math.nan)
            return self._stop(number, "diverged")
        decision = self.rungs.arrive(number, epoch, self._value_so_far(trial, metrics))
        if is_last or epoch >= self.experiment.scheduler.max_epochs:
            return self._stop(number, "completed")
        if self.is_baseline(number) or decision == "continue":
            return "continue"
        return self._stop(number, "stopped")

    def why_diverged(self, trial: Trial, metrics: Mapping[str, float]) -> str | None:
        """Why a report says that a training is lost; None when it does not.

        Args:
            trial: whose, with its earlier reports.
            metrics: of the report.
        """
        name = self.experiment.metric.name
        first = trial.reports[0].metrics if trial.reports else metrics
        for loss in (key for key in metrics if key.endswith("loss") and self._counts(key)):
            if not math.isfinite(metrics[loss]):
                return f"{loss} is not finite"
            if has_exploded(metrics[loss], first.get(loss, math.inf)):
                return f"{loss} has exploded since epoch 1"
        return None if math.isfinite(metrics[name]) else f"{name} is not finite"

    def _counts(self, loss: str) -> bool:
        """Whether a loss decides; a run keeps the rule that it began with."""
        start = self.trials.start
        if start is not None and start.divergence == "any_loss":
            return True
        return loss in (*_LOSSES, self.experiment.metric.name)

    def is_baseline(self, number: int) -> bool:
        """Whether a trial is the baseline, or one of its repeats."""
        return number < self.experiment.repeats and self.experiment.baseline is not None

    def _stop(self, number: int, state: State) -> Decision:
        self.ending[number] = state
        return "stop"

    def check(self, event: Event) -> None:
        """See that an event fits what came before, and the experiment; nothing is changed.

        Raises:
            InputError: when it does not.
        """
        self.trials.check(event)
        if isinstance(event, Created):
            is_recorded = event.distributions is not None
            self.experiment.search_space.check(event.trial, event.params, is_recorded)

    def apply(self, event: Event) -> None:
        """Take an event in.

        Raises:
            InputError: when it does not fit what came before.
        """
        self.trials.apply(event)
        if isinstance(event, Finished):
            self.ending.pop(event.trial, None)
        elif isinstance(event, Resumed):
            self.budget = parse_section(Budget, event.budget, ("budget",))

    def replay(self, event: Event) -> Decision | None:
        """Take an event of a journal in; for a report, returns what is decided now.

        Raises:
            InputError: when it does not fit what came before, or the experiment.
        """
        self.check(event)
        decision: Decision | None = None
        if isinstance(event, Report):
            decision = self.judge(event.trial, event.epoch, event.metrics, event.last)
        self.apply(event)
        return decision

    def spent(self, seconds: float) -> list[str]:
        """The names of the limits that are reached, after so much time of searching."""
        return spent_limits(self.budget, self.experiment.metric, self.trials, seconds)

    def _value_so_far(self, trial: Trial, metrics: Mapping[str, float]) -> float:
        metric = self.experiment.metric
        value = metrics[metric.name]
        best = trial.scored(metric) if metric.scope == "best" else None
        before = value if best is None else best.metrics[metric.name]
        return before if metric.better(before, value) else value
