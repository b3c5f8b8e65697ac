"""What a free worker does next: it tries a new configuration, or goes on with one that waits."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from analysis.record.events import Created, Event, Finished
from analysis.record.trials import Trial
from search.control.freeze_thaw import FreezeThaw
from search.control.policy import Policy
from search.control.sampler import Proposal, Sampler
from search.surrogate.surrogate import Surrogate
from spaces.experiment import Experiment


class Choice(NamedTuple):
    """``waiting`` goes on, or else ``proposal`` is tried, or there is nothing to do for now."""

    proposal: Proposal | None
    waiting: Trial | None


class Chooser(Protocol):
    """What says what a free worker does: the choices of a search, or those of a plan of one."""

    is_exhausted: bool

    def next(self, may_begin: bool) -> Choice:
        """What a free worker shall do; the same until the next event."""

    def take(self, event: Event) -> None:
        """Take in an event that was applied to the policy."""


class Choices:
    """Chooses what comes next; the same events in the same order give the same choices.

    Args:
        experiment: the search.
        policy: how it stands; every event is applied to it first.
    """

    def __init__(self, experiment: Experiment, policy: Policy) -> None:
        self._policy = policy
        self._surrogate = _surrogate_of(experiment, policy)
        self._sampler = Sampler(experiment, self._surrogate)
        self._freeze_thaw = None
        if self._surrogate is not None and experiment.scheduler.name == "freeze_thaw":
            self._freeze_thaw = FreezeThaw(experiment, policy, self._surrogate)
        self.is_exhausted = False  # a grid, once each of its combinations was proposed
        self._latest: tuple[bool, Choice] | None = None  # the same until the next event

    def next(self, may_begin: bool) -> Choice:
        """What a free worker shall do; the same until the next event.

        Args:
            may_begin: whether the budget leaves room for a new trial.
        """
        if self._latest is None or self._latest[0] != may_begin:
            self._latest = may_begin, self._choose(may_begin)
        return self._latest[1]

    def _choose(self, may_begin: bool) -> Choice:
        proposal = None
        if may_begin and not self.is_exhausted:
            proposal = self._sampler.propose(len(self._policy.trials))
            self.is_exhausted = proposal is None
        if self._freeze_thaw is None:
            return Choice(proposal, None)
        params = None if proposal is None else proposal.params
        return Choice(proposal, self._freeze_thaw.choose(params))

    def take(self, event: Event) -> None:
        """Take in an event that was applied to the policy."""
        self._latest = None
        if self._surrogate is not None:
            self._surrogate.take(event)
        if isinstance(event, Created):
            self._sampler.begin(event)
        elif isinstance(event, Finished):
            trials = self._policy.trials
            worst = trials.worst(self._policy.experiment.metric)
            self._sampler.tell(trials.by_number[event.trial], worst)


def _surrogate_of(experiment: Experiment, policy: Policy) -> Surrogate | None:
    """What learns from the curves, where something asks for it."""
    is_asked = experiment.sampler.name == "curves" or experiment.scheduler.name == "freeze_thaw"
    return Surrogate(experiment, policy.trials) if is_asked else None
