"""The decisions of a search, pure: the same events in the same order give the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping

from analysis.events import Created, Decision, Event, Finished, Report, Resumed, State
from analysis.trials import Trial, Trials
from search.budget import spent_limits
from search.rungs import Rungs
from spaces.experiment import Budget, Experiment
from spaces.sections import parse_section
from spaces.seeds import derive_seed
from trainables.divergence import has_exploded


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

    def judge(self, number: int, epoch: int, metrics: Mapping[str, float]) -> Decision:
        """Decide whether a trial goes on, which ends its next epoch; a rung counts it from now on.

        Args:
            number: the trial's.
            epoch: the epoch.
            metrics: by name.
        """
        trial = self.trials.by_number[number]
        if _is_diverged(trial, metrics, self.experiment.metric.name):
            self.rungs.arrive(number, epoch, math.nan)
            return self._stop(number, "diverged")
        decision = self.rungs.arrive(number, epoch, self._value_so_far(trial, metrics))
        if epoch >= self.experiment.scheduler.max_epochs:
            return self._stop(number, "completed")
        if self._is_baseline(number) or decision == "continue":
            return "continue"
        return self._stop(number, "stopped")

    def _is_baseline(self, number: int) -> bool:
        return number < self.experiment.repeats and self.experiment.baseline is not None

    def _stop(self, number: int, state: State) -> Decision:
        self.ending[number] = state
        return "stop"

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
        decision: Decision | None = None
        if isinstance(event, Report):
            self.trials.expect(event)
            decision = self.judge(event.trial, event.epoch, event.metrics)
        elif isinstance(event, Created):
            is_recorded = event.distributions is not None
            self.experiment.search_space.check(event.trial, event.params, is_recorded)
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


def _is_diverged(trial: Trial, metrics: Mapping[str, float], name: str) -> bool:
    """Whether the metric or any loss is not finite, or a loss has exploded since epoch 1."""
    first = trial.reports[0].metrics if trial.reports else metrics
    losses = (key for key in metrics if key.endswith("loss"))
    is_lost = any(has_exploded(metrics[key], first.get(key, math.inf)) for key in losses)
    return is_lost or not math.isfinite(metrics[name])
