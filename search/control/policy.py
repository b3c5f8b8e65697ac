"""The decisions of a search: the same events in the same order give the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from analysis.record.events import (
    Created,
    Decision,
    Event,
    Finished,
    Promoted,
    Report,
    Resumed,
    State,
)
from analysis.record.trials import Reported, Trial, Trials
from search.control.asha import Rungs
from search.control.budget import spent_limits
from spaces.experiment import Budget, Experiment
from spaces.sections import parse_section
from spaces.seeds import derive_seed
from trainables.diagnostics.divergence import has_exploded

_LOSSES = ("train_loss", "val_loss")


class Policy:
    """How a run stands, and what follows from it; holds no clock, no file and no chance.

    Args:
        experiment: the search.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.trials = Trials()
        self.rungs = Rungs(experiment.scheduler, experiment.metric)
        self.budget = experiment.budget
        self.ending: dict[int, State] = {}  # by trial that was stopped: the state in which it ends

    def seed(self, number: int) -> int:
        """The seed of a trial."""
        return derive_seed(self.experiment.seed, "trial", number)

    def decide(self, report: Report) -> Decision:
        """Whether a trial goes on after a report; nothing is changed."""
        if self._ending(report) is not None:
            return "stop"
        if self.is_baseline(report.trial):
            return "continue"
        trial = self.trials.by_number[report.trial]
        value = self._value_so_far(trial, report)
        return self.rungs.decide(report.trial, report.epoch, value)

    def _ending(self, report: Report) -> State | None:
        """The state in which a trial ends with a report, unless the rungs stop it."""
        trial = self.trials.by_number[report.trial]
        if self.why_diverged(trial, report.metrics) is not None:
            return "diverged"
        is_last = report.last or report.epoch >= self.experiment.scheduler.max_epochs
        return "completed" if is_last else None

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

    def check(self, event: Event) -> None:
        """See that an event fits what came before, and the experiment; nothing is changed.

        Raises:
            InputError: when it does not.
        """
        self.trials.check(event)
        if isinstance(event, Created):
            is_recorded = event.distributions is not None
            space = self.experiment.search_space
            space.check(event.trial, event.params, event.settings, is_recorded)

    def apply(self, event: Event) -> None:
        """Take in an event that was checked, in a search that is going on and in a replay alike."""
        if isinstance(event, Report):
            self._arrive(event)
        elif isinstance(event, Promoted):
            self.rungs.promote(self.trials.by_number[event.trial].epoch)
        self.trials.apply(event)
        if isinstance(event, Finished):
            self.ending.pop(event.trial, None)
        elif isinstance(event, Resumed):
            self.budget = parse_section(Budget, event.budget, ("budget",))

    def take(self, event: Event) -> None:
        """Check an event of a journal, and take it in.

        Raises:
            InputError: when it does not fit what came before, or the experiment.
        """
        self.check(event)
        self.apply(event)

    def _arrive(self, report: Report) -> None:
        """Let a report arrive at its rung, and note how its trial shall end, if it was stopped."""
        trial, ending = self.trials.by_number[report.trial], self._ending(report)
        has_diverged = ending == "diverged"
        value = math.nan if has_diverged else self._value_so_far(trial, report)
        self.rungs.arrive(report.trial, report.epoch, value)
        if report.decision == "stop":
            self.ending[report.trial] = ending or "stopped"

    def spent(self, seconds: float) -> list[str]:
        """The names of the limits that are reached, after so much time of searching."""
        return spent_limits(self.budget, self.experiment.metric, self.trials, seconds)

    def _value_so_far(self, trial: Trial, report: Report) -> float:
        metric = self.experiment.metric
        if report.epoch not in self.rungs.by_epoch:  # where nobody asks
            return metric.of(report)
        reports: list[Reported | Report] = [*trial.reports, report]
        return metric.of(metric.counting(reports))
