"""The fused transport on a cluster: one Tune trial is a lane group, which trains many of ours."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from search.control.dispatcher import Dispatcher
from search.control.view import View
from search.transport.cluster import on_cluster
from search.transport.lanes import LANES, check_can_swim, lanes_for
from search.transport.processes import ProcessAddress
from search.transport.ray_internals import (
    ALWAYS,
    CONTINUE,
    FINISHED,
    STOP,
    begin_with,
    call,
    last_error,
    why_it_died,
)
from search.transport.ray_processes import places_of_ray
from search.transport.slots import Slots
from search.transport.tuner import Link, run_tuner
from spaces.experiment import Experiment
from trainables.data.splits import Data
from trainables.worker.messages import Assignment
from trainables.worker.tune_group import TuneGroup

_DEATHS_TOGETHER = 1  # a trial whose group has died more often goes on alone


class Groups:
    """Trains configurations as one model in each place of a Ray cluster that a trial may have.

    Args:
        address: of a Ray cluster; None: this machine.
        verbose: let Ray's own messages through.
        lanes: the most that a group trains at once.
    """

    def __init__(
        self, address: str | None = None, verbose: bool = False, lanes: int = LANES
    ) -> None:
        self._address = address
        self._verbose = verbose
        self._lanes = lanes
        self._slots: Slots | None = None

    @contextmanager
    def opened(self, experiment: Experiment, view: View) -> Iterator[None]:
        """Ray while the work lasts.

        Raises:
            InputError: when no configuration of the experiment can be part of a shoal.
        """
        check_can_swim(experiment)
        with on_cluster(experiment, self._address, self._verbose, view) as self._slots:
            yield

    def interrupt(self) -> None:
        """Nothing: Tune asks the dispatcher several times a second."""

    def processes(self) -> Sequence[ProcessAddress]:
        """The head of the cluster, and this machine's own node."""
        return places_of_ray()

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        assert self._slots is not None, "not opened"
        link = _Link(dispatcher, self._slots, self._lanes)
        trainable = tune.with_resources(
            tune.with_parameters(TuneGroup, data=data, lanes=link.lanes), self._slots.reserved()
        )
        run_tuner(link, trainable, _Searcher(link), _Scheduler(link), max_failures=ALWAYS)


@dataclass
class _Group:
    """The trials of a lane group.

    ``waiting``: those that must go on alone, one after another.
    """

    running: set[int] = field(default_factory=set)
    waiting: deque[int] = field(default_factory=deque)
    is_alone: bool = False  # whether the one that runs must


class _Link(Link):
    """Which trials each lane group has, and gets."""

    def __init__(self, dispatcher: Dispatcher, slots: Slots, most: int) -> None:
        super().__init__(dispatcher, slots)
        self._most = most
        self.groups: dict[str, _Group] = {}  # by Tune's trial id

    @property
    def lanes(self) -> int:
        """How many trials a group has at most."""
        groups = max(1, self.slots.count())
        return max(1, lanes_for(self.dispatcher.experiment, self._most * groups) // groups)

    def begin(self, tune_id: str) -> list[Assignment]:
        """The first trials of a new group; none: there is no work now."""
        group = _Group()
        if taken := self.fill(group):
            self.groups[tune_id] = group
        return taken

    def fill(self, group: _Group) -> list[Assignment]:
        """What a group gets besides what it has."""
        trials, taken = self.dispatcher.controller.trials, list[Assignment]()
        if not group.running:
            group.is_alone = bool(group.waiting)
            while group.waiting and not taken:
                trial = trials.by_number[group.waiting.popleft()]
                if (assignment := self.dispatcher.assignment(trial)) is not None:
                    taken.append(self._given(group, assignment))
        while not (group.is_alone or group.waiting) and len(group.running) < self.lanes:
            if (assignment := self.dispatcher.next()) is None:
                break
            taken.append(self._given(group, assignment))
        return taken

    def _given(self, group: _Group, assignment: Assignment) -> Assignment:
        group.running.add(assignment.trial)
        self.dispatcher.hung_trials.begin(assignment.trial)
        return assignment

    def let_go(self, group: _Group, number: int) -> None:
        """A trial of a group has ended there."""
        group.running.discard(number)
        self.dispatcher.hung_trials.forget(number)

    def begin_again(self, group: _Group, number: int, reason: str) -> list[Assignment]:
        """A trial of a group can only go on from its checkpoint; none: it does not, or not yet."""
        self.let_go(group, number)
        controller = self.dispatcher.controller
        if controller.attempts_left(number) <= 0:
            self.dispatcher.given_up(number, reason)
        elif (assignment := self.dispatcher.restarted(number, reason)) is not None:
            return [self._given(group, assignment)]
        return []

    def started(self, trial: TuneTrial) -> None:
        """Its trials have been told of already."""

    def died(self, trial: TuneTrial, starts_again: bool) -> None:
        """The process of a group died, and with it the trainings of all its trials.

        Those to which this happens more than once may be to blame: they go on one by one. A group
        that Tune does not start again hands its trials back.
        """
        group, reason = self.groups.get(trial.trial_id), why_it_died(last_error(trial))
        if group is None or self.dispatcher.is_stopping:
            return
        if not starts_again:
            self._hand_back(group)
            return
        again: list[Assignment] = []
        for number in sorted(group.running):
            taken = self.begin_again(group, number, reason)
            if taken and self._is_blamed(number):
                self.let_go(group, number)
                group.waiting.append(number)
            else:
                again += taken
        group.is_alone = False
        begin_with(trial, again or self.fill(group))

    def _is_blamed(self, number: int) -> bool:
        trial = self.dispatcher.controller.trials.by_number[number]
        return trial.attempts > _DEATHS_TOGETHER

    def _hand_back(self, group: _Group) -> None:
        for number in sorted({*group.running, *group.waiting}, reverse=True):
            self.let_go(group, number)
            self.dispatcher.controller.hand_back(number)
        group.waiting.clear()


class _Searcher(Searcher):  # type: ignore[misc]
    """Makes lane groups, as many as fit on the cluster, while there is work."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        link = self._link
        with link.dispatcher.keeping_fault():
            if len(link.groups) >= max(1, link.slots.count()):
                return None
            if taken := link.begin(trial_id):
                return {"assignments": taken}
            return None if link.groups else FINISHED  # one of a group may be handed back
        return FINISHED

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._link.groups.pop(trial_id, None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal is what a run is brought back from."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called."""


class _Scheduler(FIFOScheduler):  # type: ignore[misc]
    """Hands every epoch's outcomes to the coordinator, and tells the group whom to let go."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def on_trial_result(self, controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        link = self._link
        if link.dispatcher.fault is None:
            with link.dispatcher.keeping_fault():
                return self._on_result(trial, link.groups[trial.trial_id], result)
        return STOP

    def _on_result(self, trial: TuneTrial, group: _Group, result: dict[str, Any]) -> str:
        link, process = self._link, f"pid {result.get('pid')} on {result.get('hostname')}"
        dropped: list[int] = []
        taken: list[Assignment] = []
        for number, outcome in result["outcomes"]:
            if outcome.lost is not None:
                taken += link.begin_again(group, number, outcome.lost)
                continue
            link.dispatcher.heard(number, process)
            if link.dispatcher.take(number, outcome) != "continue":
                dropped.append(number)
                link.let_go(group, number)
        taken += link.fill(group)
        if not group.running:
            return STOP
        if dropped or taken:
            call(trial, "change", dropped, taken)
        return CONTINUE
