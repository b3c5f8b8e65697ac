"""CPU time and memory of the driver at 10,000 do-nothing trials of 27 epochs, without Ray.

A journal is made first: by the real coordinator, with 16 step records and a checkpoint to each
report, every trial trained to its last epoch (``scheduler.name=none``: the longest journal and the
fullest memory). Its configurations are drawn at random, and its experiment says tpe: to propose
10,000 times would take half an hour, and tpe's time depends on how much it was told, not on who
proposed that. Then, each in a process of its own, so that the memory of one counts for no other:

- replay: what ``shoal resume`` (``Coordinator.resume``), ``shoal replay`` and ``shoal status``
  (``open_run``) do with the journal;
- project: optuna.log and TensorBoard's files, written from the journal; reading it is included;
- search: 100 trials more, with the projections written on and the view drawn after every report;
  Ray and PyTorch are loaded, as they are in a real driver.

    python benchmarks/scale.py
    python benchmarks/scale.py --spec benchmarks/conditional.yaml
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from driver import Clock, train_all
from hardware import describe_machine, summarize
from rich.console import Console

import analysis.record.journal
from analysis.record.events import Event, Started
from analysis.record.folder import RunFolder, open_run
from analysis.record.journal import Journal
from analysis.record.trials import Trials
from analysis.views.optuna_log import OptunaLog
from analysis.views.projection import Projection, open_projections
from analysis.views.tensorboard import TensorBoardFiles
from search.cli.progress import Progress
from search.control.coordinator import Coordinator
from search.rerun.replay import replay_run
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.scheduler import Sampler

MORE = 100  # trials that the run is extended by, to be timed
SLOTS = 4
TARGETS = {"report_ms": 5.0, "suggestion_ms": 250.0, "memory_gib": 2.0, "resume_seconds": 10.0}


def make(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """Write the journal of a whole search."""
    at_random = experiment.model_copy(update={"sampler": Sampler(name="random")})
    with closing(Journal(folder.journal_file)) as journal:
        coordinator = Coordinator(at_random, journal)
        coordinator.start(Started(spec=experiment.plain(), versions={}, host=platform.node()))
        train_all(coordinator, SLOTS, Clock())
        coordinator.close()
    return {
        "trials": len(coordinator.trials),
        "reports": coordinator.trials.epochs,
        "states": coordinator.trials.counts(),
        "journal_mb": round(folder.journal_file.stat().st_size / 1e6),
    }


def replay(folder: RunFolder, experiment: Experiment, repeats: int) -> dict[str, Any]:
    """Read the journal in each of the ways that commands do."""
    clock = Clock()
    for _ in range(repeats):
        with closing(Journal(folder.journal_file)) as journal:
            clock.time("resume", partial(Coordinator(experiment, journal).resume, trials=1))
        clock.time("replay", partial(replay_run, folder, experiment))
        clock.time("open_run", partial(open_run, folder.path))
    return _seconds(clock)


def project(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """Write each of the projections from the journal."""
    clock = Clock()
    log = OptunaLog(folder.optuna_log, experiment)
    clock.time("optuna_log", partial(_project, folder, log))
    files = TensorBoardFiles(folder.tensorboard, experiment)
    clock.time("tensorboard", partial(_project, folder, files))
    return _seconds(clock)


def _project(folder: RunFolder, projection: Projection) -> None:
    trials = Trials()

    def write(event: Event) -> None:
        projection.write(event, trials)

    analysis.record.journal.replay(folder.journal_file, trials.apply, write)
    projection.close()


def search(folder: RunFolder, experiment: Experiment) -> dict[str, Any]:
    """Extend the run, as ``shoal resume --trials`` does."""
    import search.session  # noqa: F401

    clock, memory = Clock(), {"imports": _peak_gib()}
    with closing(Journal(folder.journal_file)) as journal:
        coordinator = Coordinator(experiment, journal)
        coordinator.resume(trials=MORE)
        memory["resume"] = _peak_gib()
        coordinator.projections = open_projections(folder, experiment)
        memory["projections"] = _peak_gib()
        console = Console(width=100, force_terminal=True)
        progress = Progress(coordinator, folder, console)
        train_all(coordinator, SLOTS, clock, partial(_draw, progress, console, clock))
        coordinator.close()
    spent = clock.milliseconds
    return {
        "suggestion_ms": summarize(spent["suggestion"][-MORE:]),
        "report_ms": summarize(spent["report"]),
        "view_ms": summarize(spent["view"]),
        "memory_gib": {**memory, "search": _peak_gib()},
    }


def _draw(progress: Progress, console: Console, clock: Clock) -> None:
    """Draw the live view, which a terminal is shown, and the line, which a pipe gets."""

    def draw() -> None:
        console.print(progress.render())
        progress.line()

    with console.capture():
        clock.time("view", draw)


def _peak_gib() -> float:
    """The most memory that this process has had."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)


def _seconds(clock: Clock) -> dict[str, Any]:
    return {
        f"{name}_seconds": summarize([spent / 1e3 for spent in milliseconds], digits=2)
        for name, milliseconds in clock.milliseconds.items()
    }


def _in_process(step: str, folder: Path) -> dict[str, Any]:
    """Run one step in a fresh process; it prints a line of JSON."""
    began = time.perf_counter()
    command = [sys.executable, __file__, *sys.argv[1:], "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    print(f"{step}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="The driver at 10,000 trials of 27 epochs.")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3, help="readings of the journal")
    parser.add_argument("--spec", default="quickstart", help="whose space, with lr and dropout")
    parser.add_argument("--step", choices=("make", "replay", "project", "search"), help="only this")
    parser.add_argument("--folder", type=Path, help="where that step finds the journal")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    changes = [f"budget.trials={arguments.trials}", "scheduler.name=none", "sampler.name=tpe"]
    experiment = load_experiment(arguments.spec, changes)
    steps: dict[str, Callable[[RunFolder, Experiment], dict[str, Any]]] = {
        "make": make,
        "replay": partial(replay, repeats=arguments.repeats),
        "project": project,
        "search": search,
    }
    if arguments.step is not None:
        print(json.dumps(steps[arguments.step](RunFolder(arguments.folder), experiment)))
        return
    figures: dict[str, Any] = {"benchmark": "scale", "spec": arguments.spec}
    with tempfile.TemporaryDirectory() as scratch:
        for step in steps:
            figures |= _in_process(step, Path(scratch))
    packages = ["optuna", "numpy", "pydantic", "tensorboard"]
    print(json.dumps({**figures, "targets": TARGETS, **describe_machine(packages)}))


if __name__ == "__main__":
    main()
