"""A command and all processes that come of it: wall time, CPU time, peak memory."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from benchmarks.hardware import ROOT

_SECONDS_BETWEEN = 0.2  # two looks at the processes
_LOOKS_AT_MEMORY = 5  # at every so manieth look: the kernel walks through a process's pages for it
_SECONDS_TO_END = 3.0  # for processes that are left when the command has ended


@dataclass(frozen=True)
class Measured:
    """How a command ran.

    ``seconds``: from its start to its end; ``cpu_seconds``: user and system time of all processes,
    each but for its last fifth of a second; ``memory_mib``: the most that all had at a time, pages
    that several share counted once; ``began``: seconds since 1970; ``code``: the exit code, None
    where the time was over; ``output``: what it printed.
    """

    began: float
    seconds: float
    cpu_seconds: float
    memory_mib: float
    code: int | None
    output: str


@dataclass
class Tree:
    """A process and its descendants, also those whose parent has ended, as Ray's do.

    Who is started and orphaned between two looks is missed.
    """

    root: psutil.Process
    memory_mib: float = 0.0
    _members: dict[int, psutil.Process] = field(default_factory=dict)
    _cpu_seconds: dict[int, float] = field(default_factory=dict)

    def look(self, at_memory: bool) -> None:
        """Take in how the processes stand now."""
        self._find_new()
        memory = 0.0
        for process in self.alive():
            with suppress(psutil.Error), process.oneshot():
                times = process.cpu_times()
                self._cpu_seconds[process.pid] = times.user + times.system
                if at_memory:
                    memory += process.memory_full_info().pss / 2**20
        self.memory_mib = max(self.memory_mib, memory)

    def _find_new(self) -> None:
        self._members.setdefault(self.root.pid, self.root)
        parents = {each.pid: each.info["ppid"] for each in psutil.process_iter(["ppid"])}
        new = self._members.keys()
        while new := {pid for pid, parent in parents.items() if parent in new} - {*self._members}:
            for pid in new:
                with suppress(psutil.Error):
                    self._members[pid] = psutil.Process(pid)

    def alive(self) -> Iterator[psutil.Process]:
        """The members that run; a number that another process has by now is none of them."""
        return (process for process in self._members.values() if process.is_running())

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu_seconds.values())

    def end(self, seconds: float) -> None:
        """Wait until all have ended, and kill those that do not within so many seconds."""
        _, left = psutil.wait_procs([*self.alive()], timeout=seconds)
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=_SECONDS_TO_END)


def run(command: Sequence[str], most_seconds: float, output: Path) -> Measured:
    """Run a command in a process of its own, from Shoal's folder, to its end.

    Args:
        command: with its arguments.
        most_seconds: after which it is killed, with all that it has started.
        output: where what it prints goes.
    """
    with output.open("w+") as printed:
        began = time.time()
        start = time.monotonic()
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
        )
        tree = Tree(psutil.Process(process.pid))
        try:
            code = _watched(process, tree, start + most_seconds)
            seconds = time.monotonic() - start
        finally:  # of a Ctrl-C, too
            tree.end(_SECONDS_TO_END if process.poll() is not None else 0.0)
        return Measured(began, seconds, tree.cpu_seconds, tree.memory_mib, code, _text(printed))


def _watched(process: subprocess.Popen[bytes], tree: Tree, until: float) -> int | None:
    looks = 0
    while process.poll() is None:
        if time.monotonic() > until:
            return None
        tree.look(at_memory=looks % _LOOKS_AT_MEMORY == 0)
        looks += 1
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_BETWEEN)
    return process.returncode


def _text(printed: IO[str]) -> str:
    printed.seek(0)
    return printed.read()
