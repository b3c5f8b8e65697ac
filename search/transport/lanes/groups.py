"""The fused transport on a cluster: one Tune trial is a lane group, which trains many of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler

from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.inline import refuse_unmet
from search.transport.lanes.counts import LANES, check_can_swim, lanes_for
from search.transport.lanes.group import Group
from search.transport.on_ray.slots import Slots
from search.transport.on_ray.tune_internals import (
    ALWAYS,
    CONTINUE,
    FINISHED,
    STOP,
    begin_with,
    call,
    last_error,
    limit_restarts,
    why_it_died,
)
from search.transport.on_ray.tuner import Link, RayTransport, Unsaved, run_tuner
from spaces.experiment import Experiment
from trainables.data.splits import Data
from trainables.worker.tune_group import TuneGroup


class Groups(RayTransport):
    """Trains configurations as one model in each place of a Ray cluster that a trial may have.

    Args:
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        lanes: the most that a group trains at once.
        slower: the kinds that are trained one by one, for that is faster.
    """

    def __init__(
        self,
        address: str | None = None,
        verbose: bool = False,
        lanes: int = LANES,
        slower: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(address, verbose)
        self._lanes = lanes
        self._slower = slower

    @contextmanager
    def opened(self, experiment: Experiment, view: View, data: Data | None) -> Iterator[None]:
        """Ray while the work lasts.

        Raises:
            InputError: when no configuration of the experiment can be part of a shoal, or it asks
                for processes of each trial's own.
        """
        refuse_unmet(experiment, "trials that train as one model can't have it; use engine: tune")
        check_can_swim(experiment)
        with self.connected(experiment, view):
            yield

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        link = _Link(dispatcher, self.slots, self._lanes)
        lanes = self._lanes if link.lanes() > 1 else 1
        trainable = tune.with_resources(
            tune.with_parameters(TuneGroup, data=data, lanes=lanes, slower=self._slower),
            self.slots.reserved(),
        )
        run_tuner(link, trainable, _Searcher(link), _Scheduler(link), max_failures=ALWAYS)


class _Link(Link):
    """The lane groups that there are."""

    def __init__(self, dispatcher: Dispatcher, slots: Slots, most: int) -> None:
        super().__init__(dispatcher, slots)
        self._most = most
        self.groups: dict[str, Group] = {}  # by Tune's trial id

    @property
    def places(self) -> int:
        """How many groups there may be; one waits where none fits yet."""
        return max(1, self.slots.count())

    def lanes(self) -> int:
        """How many trials a group has at most."""
        most = lanes_for(self.dispatcher.experiment, self._most * self.places)
        return max(1, most // self.places)

    def started(self, trial: TuneTrial) -> None:
        """A process has taken the trials of a group."""
        self.groups[trial.trial_id].started()

    def died(self, trial: TuneTrial, starts_again: bool) -> None:
        """The process of a group died.

        One that is left without trials starts once more, as Tune has it, but not for ever.
        """
        group = self.groups[trial.trial_id]
        if starts_again and not self.dispatcher.is_stopping:
            begin_with(trial, group.died(why_it_died(last_error(trial))))
            if not group:
                limit_restarts(trial, 0)
        elif not starts_again:
            if not self.dispatcher.is_stopping:
                group.hand_back()
            del self.groups[trial.trial_id]


class _Searcher(Unsaved):
    """Makes lane groups, as many as fit on the cluster, while there is work."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        link = self._link
        with link.dispatcher.keeping_fault():
            if len(link.groups) >= link.places:
                return None
            group = Group(link.dispatcher, link.lanes)
            if taken := group.fill():
                link.groups[trial_id] = group
                return {"assignments": taken}
            return None if link.groups else FINISHED  # one of a group may be handed back
        return FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if not error:  # else it has trials to hand back yet
            self._link.groups.pop(trial_id, None)


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Hands every epoch's outcomes to the coordinator, and tells the group whom to let go."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        link, process = self._link, f"pid {result.get('pid')} on {result.get('hostname')}"
        if link.dispatcher.fault is None:
            with link.dispatcher.keeping_fault():
                group = link.groups[trial.trial_id]
                dropped, taken = group.answered(result["outcomes"], process)
                if dropped or taken:
                    call(trial, "change", dropped, taken)
                return CONTINUE if group else STOP
        return STOP
