"""The world in which a driver runs: its clock, its luck, and how it dies.

Wherever the driver writes, syncs or asks, the world decides by chance what happens there. The
chance follows from the seed alone, and nothing runs in a thread, so that a history can be repeated.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from analysis.record.journal import FSYNC_SECONDS
from search.control.controller import Controller


class Killed(BaseException):
    """The driver is dead. Whatever it does from here on is undone."""


DISK_FAULTS = {"full": errno.ENOSPC, "fails": errno.EIO}
WRITE = ("killed", "killed", "power", "power", "full", "fails", "signal", "Ctrl-C")
FOLDER = ("killed", "power", "full", "fails", "signal")
ASK = ("killed", "power", "signal", "Ctrl-C", "intruder")


class World:
    """One history's world.

    Args:
        chance: decides everything.
        run: the folder of the run.
        spare: where a copy of it is kept while a dead driver unwinds.
    """

    def __init__(self, chance: random.Random, run: Path, spare: Path) -> None:
        self.chance = chance
        self.run = run
        self._spare = spare
        self._journal = run / "journal.jsonl"
        self.now = 1.7e9  # by the clock on the wall, which may be set
        self.seconds = 1000.0  # by the clock that only goes forward
        self.rate = 0.0  # of faults at each point
        self.session = 0  # its number
        self.is_dead = False
        self.is_disk_full = False
        self.controller: Controller | None = None
        self.intrude: Callable[[], None] = lambda: None  # what another driver tries
        self.synced: dict[Path, int] = {}  # by file: bytes that are on the disk for sure
        self.threads: list[SteppedThread] = []
        self.events: list[str] = []  # what happened, for people
        self.has_lost_power = False  # in this session
        self.has_lost_power_once = False
        self.has_failed = False  # the disk, in this session

    def begin_session(self, rate: float) -> None:
        """A driver is started."""
        self.session += 1
        self.is_dead = self.is_disk_full = self.has_lost_power = False
        self.has_failed = False
        self.rate = rate
        self.controller = None
        self.threads = []
        self.seconds += self.chance.uniform(0.0, 100.0)
        self.now += self.chance.choice((1.0, 100.0, 1e5, -50.0))  # it may be set back
        self.events.append("a session begins")

    def tick(self, seconds: float) -> None:
        """Time goes by, in which the threads of the driver do their work."""
        journal = self._journal
        size = journal.stat().st_size if self.threads and seconds > FSYNC_SECONDS else 0
        self.now += seconds
        self.seconds += seconds
        for thread in self.threads:
            thread.wake()
        if not self.has_failed:
            assert self.synced.get(journal, 0) >= size, "what was written is not synced in time"

    def luck(self, kinds: tuple[str, ...]) -> str | None:
        """What happens at this point, mostly nothing."""
        if self.is_dead or not self.rate or self.chance.random() >= self.rate:
            return None
        return self.chance.choice(kinds)

    def part(self, least: int, most: int) -> int:
        """How much of a file, or of what is written, there is: all, the least, or between.

        The chance does not depend on how much there is, which paths have a share in.
        """
        share = self.chance.choice((0.0, 1.0, self.chance.random()))
        return least + round(share * (most - least))

    def point(self, place: str, kinds: tuple[str, ...]) -> None:
        """A point at which something may happen before the driver goes on."""
        if self.is_disk_full and "full" in kinds and not self.is_dead:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
        if (kind := self.luck(kinds)) is not None:
            self.strike(kind, place)

    def strike(self, kind: str, place: str) -> None:
        """Something happens: the driver dies, a call fails, a signal comes."""
        self.events.append(f"{kind} at {place}")
        if kind in ("killed", "power"):
            self._die(has_power=kind == "killed")
        if kind in DISK_FAULTS:
            self.has_failed = True
            self.is_disk_full = kind == "full"
            raise OSError(DISK_FAULTS[kind], os.strerror(DISK_FAULTS[kind]), place)
        if kind == "Ctrl-C":  # in a notebook, which has no handlers
            raise KeyboardInterrupt
        if kind == "intruder":
            rate, self.rate = self.rate, 0.0
            self.intrude()
            self.rate = rate
        if kind == "signal" and self.controller is not None:
            self.controller.is_interrupted = True

    def _die(self, has_power: bool) -> None:
        """Keep the files as they are now; without power, only what was synced is sure to stay."""
        self.is_dead = True
        if self.run.exists():
            shutil.copytree(self.run, self._spare)
            if not has_power:
                self.has_lost_power = self.has_lost_power_once = True
                for file in sorted(self._spare.rglob("*")):
                    if file.is_file():
                        self._cut(file)
        raise Killed

    def _cut(self, copy: Path) -> None:
        """Cut what was not synced off a file, at any byte."""
        size = copy.stat().st_size
        least = min(size, self.synced.get(self.run / copy.relative_to(self._spare), 0))
        os.truncate(copy, self.part(least, size))

    def bury(self) -> None:
        """The dead driver has unwound: put the files back as they were when it died."""
        shutil.rmtree(self.run, ignore_errors=True)
        if self._spare.exists():
            self._spare.rename(self.run)
        if self.has_lost_power:  # what is there was read from the disk
            files = (file for file in self.run.rglob("*") if file.is_file())
            self.synced = {file: file.stat().st_size for file in files}


class _Waiting(BaseException):
    """A thread waits for something that is not there yet."""


class SteppedThread:
    """A thread that runs where the world says so; its target must be a loop without a memory."""

    def __init__(self, world: World, target: Callable[[], None]) -> None:
        self._world = world
        self._target = target
        self.due = 0.0

    def start(self) -> None:
        """The world runs it from now on."""
        self._world.threads.append(self)

    def wake(self) -> None:
        """Run until it waits, unless it sleeps."""
        if self._world.seconds >= self.due:
            self.join()

    def join(self) -> None:
        """Run until it waits, or ends."""
        with suppress(_Waiting):
            self._target()


class SteppedEvent:
    """An event for which only a thread of the world waits."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_set = False

    def set(self) -> None:
        """Set it; a thread that waits for it may run at once, or later."""
        self._is_set = True

    def clear(self) -> None:
        """Clear it."""
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Let the thread sleep."""
        if timeout is not None:
            for thread in self._world.threads:
                thread.due = self._world.seconds + timeout
            raise _Waiting
        if not self._is_set:
            raise _Waiting
        return True


class Threading:
    """What the journal takes from ``threading``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def Event(self) -> SteppedEvent:  # noqa: N802 (its name there)
        return SteppedEvent(self._world)

    def Thread(self, target: Callable[[], None], daemon: bool) -> SteppedThread:  # noqa: N802
        return SteppedThread(self._world, target)


class Clock:
    """What the journal and the views take from ``time``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def time(self) -> float:
        return self._world.now

    def monotonic(self) -> float:
        return self._world.seconds

    def sleep(self, seconds: float) -> None:
        self._world.tick(seconds)


class AtOnce:
    """An executor that has done the work when it is submitted."""

    def __init__(self, max_workers: int) -> None:
        pass

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        work()
        return Future()

    def shutdown(self) -> None:
        pass

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass
