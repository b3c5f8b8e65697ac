"""How long one waits for the first report of a search, and where the seconds go.

The command line runs in a process of its own, with a stopwatch around what takes long: outermost
imports, Ray's start, the data, and the first trial, from when it is proposed to its first report
(its worker, the imports there, an epoch). What is left over is ``rest``.

    python -m benchmarks.yardstick.startup tune    one start; prints its phases as JSON
"""

from __future__ import annotations

import builtins
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.hardware import ROOT
from benchmarks.yardstick.contenders.each import JOB_FILES, SHOAL
from benchmarks.yardstick.measured import run
from benchmarks.yardstick.record import Record, Row

ENGINES = ("inline", "tune", "fused")
PHASES = ("python", "imports", "ray", "data", "first trial", "rest")
EARLIER_RUN = ROOT / "tests" / "fixtures" / "earlier_version"
MOST_SECONDS = 180.0


class Stopwatch:
    """Seconds by phase; a phase within another one stops that one meanwhile."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._running = ["rest"]
        self._since = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.enter(name)
        try:
            yield
        finally:
            self._count()
            self._running.pop()

    def enter(self, name: str) -> None:
        self._count()
        self._running.append(name)

    def _count(self) -> None:
        now = time.monotonic()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, whose time counts as a phase where it is the main thread's."""

        @wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return call(*args, **kwargs)
            with self.phase(name):
                return call(*args, **kwargs)

        return timed

    def read(self) -> dict[str, float]:
        self._count()
        return {name: round(spent, 2) for name, spent in self.seconds.items()}


def start_timed(engine: str, folder: Path, began: float) -> None:
    """Search the digits until the first report is in the journal; print the phases and end.

    Args:
        engine: that trains.
        folder: for the run.
        began: when this process was started, in seconds since 1970.
    """
    python = time.time() - began
    watch = Stopwatch()
    builtins.__import__ = watch.around("imports", builtins.__import__)
    import search.cli.main
    import search.preparation
    from analysis.record.events import Created, Report
    from analysis.record.journal import Journal

    search.preparation.load_data = watch.around("data", search.preparation.load_data)
    if engine == "tune":
        from search.transport.environment import prepare_environment

        prepare_environment()
        import ray

        ray.init = watch.around("ray", ray.init)
    append = Journal.append

    def noticing(journal: Journal, event: Any) -> Any:
        written = append(journal, event)
        if isinstance(event, Created):
            watch.enter("first trial")
        elif isinstance(event, Report):
            print(json.dumps({**watch.read(), "python": round(python, 2)}), flush=True)
            os._exit(0)  # what Ray has started is ended by who looks on
        return written

    Journal.append = noticing  # type: ignore[method-assign]
    spec = str(JOB_FILES / "digits.yaml")
    sys.argv = ["shoal", "search", spec, "--engine", engine, "--run", str(folder / "run")]
    search.cli.main.main()


def measure_starts(record: Record, rounds: int, until: float, note: Callable[[str], None]) -> None:
    """Start each engine in turn, the two commands that people wait for most, and PyTorch alone.

    The first round, which fills the disk's cache, is not counted. What today's code has measured on
    this machine before is.
    """
    waits = {
        "import search": [sys.executable, "-c", "import search"],
        "shoal status": [*SHOAL, "status", str(EARLIER_RUN)],
        "import torch": [sys.executable, "-c", "import torch"],  # how quick the machine is today
    }
    for number in range(rounds + 1):
        for name in (*waits, *ENGINES):
            if time.monotonic() > until:
                return
            if len(record.here(part="startup", what=name)) >= rounds:
                continue
            row = _wait(waits[name]) if name in waits else first_report(name)
            if number or "error" in row:
                record.add({"part": "startup", "what": name, **row})
            note(f"{name}: {row.get('error', 'done')}")


def first_report(engine: str) -> Row:
    """Seconds until the first report of a search is in its journal, and by phase."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "benchmarks.yardstick.startup", engine, folder]
        found = run([*command, str(time.time())], MOST_SECONDS, Path(folder, "printed"))
    if found.code != 0:
        return {"error": f"ended with {found.code}: {found.output[-600:]}"}
    phases = json.loads(found.output.strip().splitlines()[-1])
    seconds, cpu = round(sum(phases.values()), 2), round(found.cpu_seconds, 1)
    return {"seconds": seconds, "cpu_seconds": cpu, "phases": phases}


def _wait(command: list[str]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        found = run(command, MOST_SECONDS, Path(folder, "printed"))
    if found.code != 0:
        return {"error": f"ended with {found.code}: {found.output[-600:]}"}
    return {"seconds": round(found.seconds, 2), "cpu_seconds": round(found.cpu_seconds, 1)}


if __name__ == "__main__":
    start_timed(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
