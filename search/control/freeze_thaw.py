"""Freeze-thaw: which of the waiting trials goes on instead of a new one, and for how long."""

from __future__ import annotations

from analysis.record.trial import Trial
from search.control.policy import Policy
from search.surrogate.surrogate import Surrogate
from spaces.experiment import Experiment
from spaces.parameters import Params


class FreezeThaw:
    """Chooses by what the surrogate expects, within what the budget leaves.

    A budget of trials says how many there are, but not how far they are trained: as far in all as
    ASHA would on the average, and one to the end in any case. Of a budget of epochs the last ones
    go to the trial that is expected to be the best, if it waits then.

    Args:
        experiment: the search.
        policy: how it stands.
        surrogate: what is expected of trials.
    """

    def __init__(self, experiment: Experiment, policy: Policy, surrogate: Surrogate) -> None:
        self._scheduler = experiment.scheduler
        self._policy = policy
        self._surrogate = surrogate

    def choose(self, params: Params | None) -> Trial | None:
        """The waiting trial to go on with; None: none, or a new one is better.

        Args:
            params: of the new one; None: there will be none any more.
        """
        if not self._policy.trials.waiting:
            return None
        used = self._policy.trials.epochs + self._owed()
        if self._is_time_for_the_leader(used):
            return self._leader()
        if self._has_room(used, is_last=params is None):
            return self._surrogate.choose(params)
        return self._leader() if params is None and not self._has_completed else None

    @property
    def _has_completed(self) -> bool:
        """Whether a trial was trained to the end, beside the baseline."""
        ended = self._policy.trials.finished
        return any(t.state == "completed" and not self._policy.is_baseline(t.number) for t in ended)

    def _leader(self) -> Trial | None:
        """The trial that is expected to be the best, if it waits."""
        leader = self._surrogate.leader()
        return leader if leader is not None and leader.is_waiting else None

    def _is_time_for_the_leader(self, used: int) -> bool:
        """Whether the epochs that are left just suffice for the leader."""
        limit = self._policy.budget.epochs
        if limit is None or (leader := self._leader()) is None:
            return False
        return limit - used <= self._scheduler.max_epochs - leader.epoch

    def _has_room(self, used: int, is_last: bool) -> bool:
        """Whether a trial may go on, for all that a budget of trials leaves."""
        trials = self._policy.trials
        planned = len(trials) if is_last else self._policy.budget.trials
        if planned is None:
            return True
        owed_to_new = (planned - len(trials)) * self._scheduler.min_epochs
        return used + owed_to_new < planned * self._scheduler.average_epochs

    def _owed(self) -> int:
        """The epochs up to the next rung of each trial that runs."""
        in_training = self._policy.trials.in_training
        return sum(self._next_stop(trial) - trial.epoch for trial in in_training)

    def _next_stop(self, trial: Trial) -> int:
        last = self._scheduler.max_epochs
        if self._policy.is_baseline(trial.number):
            return last
        return next((rung for rung in self._scheduler.milestones if rung > trial.epoch), last)
