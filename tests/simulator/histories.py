"""A history: a small experiment, and sessions that search it in a world that fails them."""

from __future__ import annotations

import random
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from analysis.record.folder import RunFolder
from analysis.record.lock import is_locked
from search.control.controller import Controller
from search.control.dispatcher import Dispatcher
from search.control.view import Silent
from search.folders import new_folder
from search.lifecycle import resume_search, start_search
from search.run_context import Terms
from search.session import Host
from search.transport.inline import Inline
from search.transport.interface import Transport
from spaces.checks import parse_experiment
from spaces.experiment import Experiment
from spaces.problems import InputError, RunError
from tests.simulator.checks import (
    Witness,
    check_all_ended,
    check_journal,
    check_views,
    events_in,
)
from tests.simulator.disk import simulated
from tests.simulator.groups import GroupCluster
from tests.simulator.workers import NATURES, Cluster, Trainer
from tests.simulator.world import World

MOST_SESSIONS = 30
_RATES = (0.0, 0.005, 0.02, 0.1, 0.3)  # of faults, at each point of a session


class Place:
    """A folder in which one history after the other happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "own.py").write_text("def train(config, context):\n    yield {}\n")

    def clear(self) -> None:
        """Remove what a history left."""
        for name in ("run", "dead", "again"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


@contextmanager
def place() -> Iterator[Place]:
    """A folder in memory, where there is one."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Place(Path(folder))


def habits_of(chance: random.Random) -> dict[str, Any]:
    """How the code of an experiment behaves, and its workers."""
    weights = [1.0, *(chance.choice((0.0, 0.1, 1.0)) for _ in NATURES[1:-1])]
    return {
        "weights": [*weights, chance.choice((0.0, 0.0, 0.0, 0.2))],
        "digits": chance.choice((1, 2, 12)),
        "death": chance.choice((0.0, 0.05, 0.3)),
        "trouble": chance.choice((0.0, 0.1, 0.4)),
        "slots": chance.choice((1, 2, 3, 5)),
        "groups": chance.choice((1, 2)),
    }


def experiment_of_chance(chance: random.Random, code: Path) -> Experiment:
    """A small experiment."""
    samplers = {"random": 16, "curves": 8, "grid": 6, "qmc": 5, "tpe": 4, "cmaes": 1}
    sampler = chance.choices(list(samplers), list(samplers.values()))[0]
    schedulers = ["asha", "none"] + ["freeze_thaw"] * 3 * (sampler not in ("tpe", "cmaes"))
    scheduler, factor = chance.choice(schedulers), chance.randint(2, 4)
    space: dict[str, Any] = {"x": [0.0, 0.25, 0.5, 1.0], "kind": ["a", "b"]}
    if sampler != "grid":
        space |= {"rate": {"low": 1e-4, "high": 1.0, "log": True}, "y": {"low": 0.0, "high": 1.0}}
    baseline = {"x": 0.5, "kind": "a"} | ({} if sampler == "grid" else {"rate": 0.1, "y": 0.1})
    if chance.random() < 0.3 and sampler in ("random", "curves", "grid", "tpe"):
        space["depth"] = {"low": 1, "high": 3, "when": {"kind": "b"}}
    limits = {
        "trials": chance.randint(1, 4),
        "epochs": chance.randint(1, 20),
        "hours": chance.uniform(0.001, 0.3),
        "target": chance.uniform(-0.5, 0.9),
        "patience": chance.randint(1, 4),
    }
    others = chance.sample(sorted(limits), chance.choice((0, 0, 1, 2)))
    top = chance.randint(1, 6)
    return parse_experiment(
        {
            "name": "simulated",
            "seed": chance.randint(0, 2**31),
            "trainable": f"{code}:train",
            "space": space,
            "baseline": baseline if chance.random() < 0.4 else None,
            "metric": {
                "name": "score",
                "mode": chance.choice(("min", "max")),
                "scope": chance.choice(("last", "best")),
            },
            "sampler": sampler,
            "scheduler": {
                "name": scheduler,
                "min_epochs": chance.randint(1, min(2, top)),
                "max_epochs": top,
                "reduction_factor": factor,
                "window": chance.choice((None, factor, 4)) if scheduler == "asha" else None,
            },
            "budget": {name: limits[name] for name in {*others, "trials"}},
            "repeats": chance.choice((1, 1, 1, 2)),
            "max_failures": chance.randint(0, 2),
            "resources": {"gpus": 0},
        }
    )


class History:
    """What happens to one experiment.

    Args:
        seed: everything follows from it.
        held: where it happens; is cleared.
    """

    def __init__(self, seed: int, held: Place) -> None:
        held.clear()
        self._chance = random.Random(seed)
        self._run = held.folder / "run"
        self._spare = held.folder / "again"
        self._code = held.folder / "own.py"
        self.world = World(random.Random(f"world {seed}"), self._run, held.folder / "dead")
        self.world.intrude = self._intrude
        self.habits = habits_of(self._chance)
        self._witness = Witness()
        self._keeps_going = self._chance.random() < 0.7
        self._has_views = self._chance.random() < 0.25  # they take half of the time

    def live(self) -> None:
        """Let it happen, and check it.

        Raises:
            Exception: a fault was found.
        """
        witness = self._witness
        take, assign = witness.take, witness.assignment
        with (
            warnings.catch_warnings(),
            simulated(self.world),
            patch.object(Dispatcher, "take", lambda *args: take(*args)),
            patch.object(Dispatcher, "assignment", lambda *args: assign(*args)),
            patch("search.surrogate.surrogate.ENOUGH", 2),
            ExitStack() as stack,
        ):
            if not self._has_views:
                stack.enter_context(patch("search.session.open_projections", lambda *_: []))
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ResourceWarning)  # the dead close nothing
            warnings.filterwarnings("ignore", "(?s).*the last line is torn")
            self._live(experiment_of_chance(self._chance, self._code))

    def _live(self, experiment: Experiment) -> None:
        faulty = self._chance.choice((0, 1, 1, 1, 2, 3))  # sessions; after these the world is calm
        extensions = self._chance.choice((0, 0, 0, 1))
        more = 0
        for number in range(MOST_SESSIONS):
            rate = self._chance.choice(_RATES) if number < faulty else 0.0
            self.world.begin_session(rate)
            ended = self._session(experiment, more)
            self.world.events.append(ended)
            self._after_session()
            if ended in ("dead", "interrupted"):
                continue
            if ended == "done":
                self._check_end()
            elif not self._is_right(ended):
                raise AssertionError(f"refused: {ended}")
            elif "every combination of its grid" in ended or "unknown metric" in ended:
                return
            elif "the run is finished" not in ended:
                continue
            if not extensions:
                check_journal(self._run, self.habits, proposals=self._chance.random() < 0.25)
                return
            extensions, more = extensions - 1, self._chance.randint(1, 3)
            # what dies while it is extended is extended once more
        raise AssertionError("the run comes to no end")

    def _session(self, experiment: Experiment, more: int) -> str:
        """Start or resume; returns how that ended: done, dead, interrupted, or a message."""
        host = self._host()
        try:
            if RunFolder(self._run).has_begun:
                terms = Terms(keep_going=self._keeps_going)
                coordinator = resume_search(RunFolder(self._run), more, 0.0, host, terms)
            else:
                folder = new_folder(experiment, self._run)
                coordinator = start_search(experiment, folder, host, self._keeps_going)
        except BaseException as error:
            if self.world.is_dead:
                return "dead"
            if isinstance(error, KeyboardInterrupt):
                return "interrupted"
            if isinstance(error, InputError | RunError):
                return str(error)
            raise
        if self.world.is_dead:
            return "dead"
        return "interrupted" if coordinator.is_interrupted else "done"

    def _host(self) -> Host:
        return Host(view=Silent(), guard=self._guard, transport=self._transport())

    def _intrude(self) -> None:
        """Another driver wants to go on with the same run."""
        if RunFolder(self._run).has_begun:
            with pytest.raises(InputError, match="is being searched by pid"):
                resume_search(RunFolder(self._run), host=self._host())

    @contextmanager
    def _guard(self, controller: Controller, transport: Transport, again: str) -> Iterator[None]:
        self.world.controller = controller
        yield

    def _transport(self) -> Transport:
        world, habits = self.world, self.habits
        kind = self._chance.random()
        if kind < 0.45:
            return Cluster(world, habits)
        if kind < 0.75:
            return GroupCluster(world, habits)
        return Inline(habits["slots"], world.chance.choice, lambda _: Trainer(world, habits))

    def _after_session(self) -> None:
        self.world.rate, self.world.is_disk_full = 0.0, False
        if self.world.is_dead:
            self.world.bury()
        if self._run.exists():
            assert not is_locked(self._run), "the journal is still locked"
        events = events_in(self._run)
        if self.world.has_lost_power:
            self._witness.forget_beyond(events)
        self._witness.check(events)

    def _is_right(self, message: str) -> bool:
        """Whether a message is one that this world has given reason for."""
        lines = message.splitlines()
        if "--keep-going counts them" in lines[0]:  # and the reason stands below it
            self._keeps_going = True
            return len(lines) < 8
        if "the run is finished" in message:
            return len(lines) == 1
        if "unknown metric 'score'" in message:  # so says the code's first report
            return len(lines) == 1
        if "is not an empty folder" in message and self.world.has_lost_power_once:
            shutil.rmtree(self._run)
            return True
        is_disk = "can't be written" in message or "can't be made" in message
        return is_disk and self.world.has_failed and len(lines) <= 2

    def _check_end(self) -> None:
        check_all_ended(self._run)
        if self._has_views:
            check_views(self._run, self._spare)


def lived(seed: int, held: Place) -> History:
    """A history, lived to its end.

    Raises:
        Exception: a fault was found; its notes say what had happened.
    """
    history = History(seed, held)
    try:
        history.live()
    except BaseException as error:
        happened: Mapping[int, str] = dict(enumerate(history.world.events))
        error.add_note(f"seed {seed}: " + "; ".join(happened.values()))
        raise
    return history
