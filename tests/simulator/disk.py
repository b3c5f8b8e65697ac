"""A disk that fails: the real files of a run, with the world's luck at each write, sync and cut."""

from __future__ import annotations

import errno
import io
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import analysis.record.folder
import analysis.record.journal
import analysis.record.lock
import analysis.record.trials
import analysis.views.tensorboard
import search.control.dispatcher
import search.lifecycle
import search.provenance
from spaces.experiment import Experiment
from spaces.sections import parse_section
from spaces.space import SearchSpace
from tests.simulator.world import FOLDER, WRITE, AtOnce, Clock, Threading, World

_OPEN, _MKDIR, _FSYNC = Path.open, os.mkdir, os.fsync
_TRUNCATE, _FTRUNCATE = os.truncate, os.ftruncate


class _File(io.FileIO):
    """A file whose writes may fail, and which knows how much of it is synced."""

    def __init__(self, world: World, path: Path, mode: str) -> None:
        self._world = world
        self._path = path
        self._session = world.session
        super().__init__(path, mode)

    def write(self, data: Any) -> int:
        """Write all, a part, or nothing."""
        world, name = self._world, self._path.name
        if self._session != world.session:  # of a driver that is gone
            return len(data)
        if world.is_disk_full and not world.is_dead:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        kind = world.luck(WRITE)
        if kind is None:
            return super().write(data)
        part = world.part(0, len(data))
        if kind in ("signal", "Ctrl-C"):
            part = world.chance.choice((0, len(data)))
        written = super().write(bytes(data)[:part]) if part else 0
        if kind == "full" and 0 < written < len(data):
            world.is_disk_full = world.has_failed = True
            world.events.append(f"full in the midst of a write to {name}")
            return written
        world.strike(kind, f"a write of {written} of {len(data)} bytes to {name}")
        return written if written == len(data) else super().write(data)


class Disk:
    """Stands in for the calls by which a driver changes files.

    Args:
        world: whose files it holds, and which decides what fails.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._paths: dict[int, Path] = {}  # of the files that may be synced, by descriptor

    def open(
        self,
        path: Path,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """As ``Path.open``."""
        if not set(mode) & set("wax+") or not str(path).startswith(str(self._world.run)):
            return _OPEN(path, mode, buffering, encoding, errors, newline)
        raw = _File(self._world, path, mode.replace("b", "").replace("t", ""))
        self._paths[raw.fileno()] = path
        if buffering == 0:
            return raw
        binary = io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding, errors, newline)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """As ``os.mkdir``."""
        self._world.point(f"the making of {Path(path).name}/", FOLDER)
        _MKDIR(path, mode, dir_fd=dir_fd)

    def truncate(self, path: Any, length: int) -> None:
        """As ``os.truncate``."""
        self._world.point("a cut", FOLDER)
        _TRUNCATE(path, length)
        self._forget_beyond(Path(path), length)

    def ftruncate(self, descriptor: int, length: int) -> None:
        """As ``os.ftruncate``; a full disk does not hinder it."""
        self._world.point("a cut", ("killed", "power", "fails", "signal"))
        _FTRUNCATE(descriptor, length)
        self._forget_beyond(self._paths[descriptor], length)

    def _forget_beyond(self, path: Path, length: int) -> None:
        """What is written there from now on is not synced, though something was."""
        if path in self._world.synced:
            self._world.synced[path] = min(self._world.synced[path], length)

    def fsync(self, descriptor: int) -> None:
        """As ``os.fsync``."""
        self._world.point("a sync", ("killed", "power", "fails", "signal"))
        path = self._paths.get(descriptor)
        if path is not None and not self._world.is_dead:
            self._world.synced[path] = os.fstat(descriptor).st_size


def _remembered(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A parser that remembers what it has parsed: the spec of a run stands in every session."""
    parsed: dict[str, Any] = {}

    def remember(section: Any, value: Any, under: Any = ()) -> Any:
        key = f"{section} {value}"
        if key not in parsed:
            parsed[key] = parse(section, value, under)
        return parsed[key]

    return remember


def _save(experiment: Experiment, path: Path) -> None:
    """As ``save_experiment``, but for the YAML, which nothing reads."""
    path.write_text(str(experiment))


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """Let the driver live in a world."""
    disk, clock = Disk(world), Clock(world)

    def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
        return disk.open(path, *args, **kwargs)

    parse = _remembered(parse_section)
    with ExitStack() as stack:
        for place, name, stand_in in (
            (Path, "open", opened),
            (os, "mkdir", disk.mkdir),
            (os, "fsync", disk.fsync),
            (os, "truncate", disk.truncate),
            (os, "ftruncate", disk.ftruncate),
            (analysis.record.journal, "threading", Threading(world)),
            (analysis.record.journal, "time", clock),
            (analysis.record.lock, "time", clock),
            (analysis.views.tensorboard, "time", clock),
            (search.control.dispatcher, "ThreadPoolExecutor", AtOnce),
            (os, "getpid", lambda: 1),
            (platform, "node", lambda: "node"),
            (search.provenance, "versions", dict),  # which takes longer than a session
            (search.lifecycle, "save_experiment", _save),
            (analysis.record.trials, "parse_section", parse),
            (analysis.record.folder, "parse_section", parse),
            (
                SearchSpace,
                "samples",
                lambda *_, **named: [],
            ),  # so does a check of the space by drawing
        ):
            stack.enter_context(patch.object(place, name, stand_in))
        yield
