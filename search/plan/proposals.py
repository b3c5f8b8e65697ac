"""What a sampler takes for its proposals, as their number grows: measured with made-up values."""

from __future__ import annotations

import time

import numpy as np

from analysis.record.events import Created, Finished, Report, Started
from search.control.choices import Choices
from search.control.policy import Policy
from spaces.experiment import Experiment

_COUNTS = (0, 1, 12, 30, 60, 100, 200, 400)  # of trials, after which a proposal is timed
_MOST_SECONDS = 2.0


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
