"""Who takes part, how each is started, and where it leaves what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.hardware import ROOT

SHOAL = [sys.executable, "-m", "search.cli.main"]
RIVAL = [sys.executable, "-m"]
JOB_FILES = ROOT / "benchmarks" / "yardstick" / "jobs"
ENGINES = ("tune", "inline", "fused", "auto")


@dataclass(frozen=True)
class Contender:
    """``command``: of a job's name, trials, seed and folder; ``outcome``: what it left there."""

    title: str
    command: Callable[[str, int, int, Path], list[str]]
    outcome: Callable[[Path], dict[str, Any]]


def _shoal(engine: str) -> Contender:
    def command(job: str, trials: int, seed: int, folder: Path) -> list[str]:
        changes = ["--set", f"budget.trials={trials}", "--set", f"seed={seed}"]
        where = ["--engine", engine, "--run", str(folder / "run")]
        return [*SHOAL, "search", str(JOB_FILES / f"{job}.yaml"), *changes, *where]

    return Contender(f"Shoal, {engine}", command, _outcome_of_run)


def _outcome_of_run(folder: Path) -> dict[str, Any]:
    """As a rival's, from the journal."""
    from analysis.record.events import Report
    from analysis.record.folder import RunFolder
    from analysis.record.journal import read_journal
    from analysis.record.trials import Trials
    from spaces.files import load_experiment

    run = RunFolder(folder / "run")
    events = [*read_journal(run.journal_file)]
    trials = Trials(events)
    metric = load_experiment(run.experiment_file).metric
    return {
        "trials": len(trials),
        "epochs": trials.epochs,
        "best": trials.ranked(metric)[0].value(metric),
        "first_result": next(event.time for event in events if isinstance(event, Report)),
    }


def _rival(title: str, module: str) -> Contender:
    def command(job: str, trials: int, seed: int, folder: Path) -> list[str]:
        name = f"benchmarks.yardstick.contenders.{module}"
        return [*RIVAL, name, job, str(trials), str(seed), str(folder)]

    def outcome(folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
        return found

    return Contender(title, command, outcome)


CONTENDERS = {f"shoal_{engine}": _shoal(engine) for engine in ENGINES} | {
    "stock_tune": _rival("Ray Tune, stock", "stock_tune"),
    "tuned_tune": _rival("Ray Tune, tuned by an expert", "tuned_tune"),
    "optuna_alone": _rival("Optuna alone", "optuna_alone"),
    "syne_tune": _rival("Syne Tune", "syne_tune_asha"),
}
NEEDS_RAY = {"shoal_tune", "stock_tune", "tuned_tune"}


def contenders_here() -> list[str]:
    """Those whose packages are installed."""
    return [name for name in CONTENDERS if name != "syne_tune" or find_spec("syne_tune")]
