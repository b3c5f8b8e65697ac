"""Lane groups in a simulated world: processes that train several trials, and die with all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.control.dispatcher import Dispatcher
from search.transport.lanes.group import Group
from tests.simulator.workers import Cluster, Trainer
from tests.simulator.world import World
from trainables.data.splits import Data
from trainables.worker.messages import Assignment, Outcome


class SimulatedGroup:
    """A lane group, and the process that trains its trials.

    Args:
        world: what happens to it.
        habits: of the code.
        group: its trials.
        taken: those with which it begins.
    """

    def __init__(
        self, world: World, habits: Mapping[str, Any], group: Group, taken: list[Assignment]
    ) -> None:
        self._world = world
        self._habits = habits
        self.group = group
        self._trainers: dict[int, Trainer] = {}
        self._take(taken)
        group.started()

    def _take(self, taken: list[Assignment]) -> None:
        for assignment in taken:
            trainer = self._trainers[assignment.trial] = Trainer(self._world, self._habits)
            trainer.take(assignment)
        assert self._trainers.keys() == self.group.trials

    def train(self) -> list[tuple[int, Outcome]]:
        """An epoch of each."""
        return [(number, self._outcome(number)) for number in [*self._trainers]]

    def _outcome(self, number: int) -> Outcome:
        try:
            return self._trainers[number].step()
        except MemoryError as error:
            del self._trainers[number]
            return Outcome(
                None, lost=f"MemoryError: {error}", shared=self._world.chance.random() < 0.5
            )

    def step(self) -> None:
        """Train an epoch of each, and do as the driver says."""
        dropped, taken = self.group.answered(self.train(), "pid 1 on a node")
        for number in dropped:
            del self._trainers[number]
        self._take(taken)

    def die(self) -> None:
        """Train an epoch that nobody hears of, and start again."""
        self.train()
        self._trainers.clear()
        self._take(self.group.died("its process died"))
        self.group.started()


class GroupCluster(Cluster):
    """A transport of lane groups whose processes die, and whose nodes leave."""

    def run(self, dispatcher: Dispatcher, data: Data | None) -> None:
        """Train until nothing is left to train, or the dispatcher is stopping."""
        groups: list[SimulatedGroup] = []
        with dispatcher.keeping_fault():
            while not dispatcher.is_stopping:
                groups = [held for held in groups if held.group]
                while len(groups) < self._habits["groups"]:
                    group = Group(dispatcher, lambda: int(self._habits["slots"]))
                    if not (taken := group.fill()):
                        break
                    groups.append(SimulatedGroup(self._world, self._habits, group, taken))
                if not groups:
                    break
                self._happens(self._world.chance.choice(groups))
                dispatcher.look_for_hung_trials(self._world.seconds)

    def _happens(self, held: SimulatedGroup) -> None:
        chance = self._world.chance
        if chance.random() >= self._habits["trouble"]:
            held.step()
        elif chance.random() < 0.8:
            held.die()
        else:
            held.group.hand_back()
