"""What the report at the end of a search takes: one of a made-up run is written."""

from __future__ import annotations

import platform
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from analysis.record.events import Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.report.build import write_report
from search.control.coordinator import Coordinator
from search.export.report import report_of
from search.plan.brief_search import Given
from search.plan.simulate import Curves, bounded
from spaces.experiment import Experiment

_MOST_TRIALS = 60  # beyond which the time grows slowly


def report_seconds(experiment: Experiment, trials: int) -> float:
    """Seconds for the report of a search with so many trials.

    Args:
        experiment: the search.
        trials: how many there will be.
    """
    drawn = experiment.search_space.drawn(min(trials, _MOST_TRIALS), experiment.seed)
    experiment = bounded(experiment).model_copy(update={"baseline": None, "repeats": 1})
    curves = Curves(experiment, np.random.default_rng(0))
    with tempfile.TemporaryDirectory(prefix="shoal-plan-") as scratch:
        folder = RunFolder(Path(scratch))
        with closing(Journal(folder.journal_file)) as journal:
            coordinator = Coordinator(experiment, journal, Given(experiment, drawn))
            spec, host = experiment.plain(), platform.node()
            coordinator.start(Started(spec=spec, versions={}, host=host))
            while (trial := coordinator.next_trial()) is not None:
                while trial.state == "running":
                    epoch = trial.epoch + 1
                    coordinator.report(trial.number, epoch, curves.metrics(trial.number, epoch))
            coordinator.close()
        began = time.perf_counter()
        write_report(report_of(folder.path), folder.report_file())
        return time.perf_counter() - began
