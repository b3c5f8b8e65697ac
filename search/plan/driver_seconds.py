"""What the driver of a search takes for a proposal, and for the report at the end.

Both are measured with made-up values.
"""

from __future__ import annotations

import platform
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from analysis.record.events import Created, Finished, Report, Started
from analysis.record.folder import RunFolder
from analysis.record.journal import Journal
from analysis.report.build import write_report
from search.control.choices import Choices
from search.control.coordinator import Coordinator
from search.control.policy import Policy
from search.export.report import report_of
from search.plan.brief_search import Given
from search.plan.curves import Curves
from search.plan.simulate import bounded
from spaces.experiment import Experiment

_COUNTS = (0, 1, 12, 30, 60, 100, 200, 400)  # of trials, after which a proposal is timed
_MOST_SECONDS = 2.0  # for all proposals
_REPORTED = 60  # trials, beyond which the time for a report grows slowly


def proposal_seconds(experiment: Experiment, trials: int) -> list[tuple[int, float]]:
    """Seconds for a proposal, by how many trials there are.

    Args:
        experiment: the search.
        trials: how many there will be; beyond a few hundred, the last time stands for all.
    """
    policy = Policy(experiment)
    choices = Choices(experiment, policy)
    policy.apply(Started(spec=experiment.plain(), versions={}, host="here"))
    random, metric = np.random.default_rng(0), experiment.metric.name
    found: list[tuple[int, float]] = []
    ends = time.perf_counter() + _MOST_SECONDS
    for number in range(trials):
        # cmaes and qmc learn by proposing: none of theirs can be left out
        is_timed = number in _COUNTS or experiment.sampler.name in ("cmaes", "qmc", "grid")
        if number > _COUNTS[-1] or time.perf_counter() > ends:
            break
        if is_timed:
            began = time.perf_counter()
            proposal = choices.next(may_begin=True).proposal
            if proposal is None:  # a grid is exhausted
                break
            found.append((number, time.perf_counter() - began))
            params, drawn_from, settings = proposal
        else:
            params, settings = experiment.search_space.drawn(1, number)[0]
            drawn_from = None
        for event in (
            Created(
                trial=number, params=params, seed=0, distributions=drawn_from, settings=settings
            ),
            Report(trial=number, epoch=1, metrics={metric: random.random()}, decision="stop"),
            Finished(trial=number, state="stopped", epoch=1),
        ):
            policy.apply(event)
            choices.take(event)
    return found or [(0, 0.0)]


def report_seconds(experiment: Experiment, trials: int) -> float:
    """Seconds for the report of a search with so many trials.

    Args:
        experiment: the search.
        trials: how many there will be.
    """
    drawn = experiment.search_space.drawn(min(trials, _REPORTED), experiment.seed)
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
