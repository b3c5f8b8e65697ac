"""Would another setting of ASHA have done better? It is replayed on the curves that are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.hindsight import Advice
from search.rungs import Rungs
from spaces.experiment import Metric, Scheduler

STREAMS = 200  # made searches
MOST_IN_STREAM = 200  # trials of each
FEWEST = 8  # curves, for any advice
SURE = 0.95
_FACTORS = (2, 3, 4)

Curve = list[float]  # by epoch, the larger the better


def advise(
    scheduler: Scheduler,
    known: Mapping[int, Curve],
    shares: Mapping[int, float],
    draw: np.random.Generator,
) -> Advice | None:
    """Another ``min_epochs`` and ``reduction_factor``, where the known curves speak for it.

    Searches are made up by drawing from the curves, after these were themselves drawn anew, so that
    few curves give no firm advice. An alternative must, in 95 % of them, lose no more than the
    setting of the run; and take fewer epochs in as many, or lose less in most.

    Args:
        scheduler: the setting of the run.
        known: curves to the end, by trial.
        shares: how many trials of the run each stands for.
        draw: the source of chance.
    """
    numbers = [n for n, curve in known.items() if len(curve) == scheduler.max_epochs]
    if len(numbers) < FEWEST:
        return None
    weight = np.array([shares[n] for n in numbers])
    size = min(MOST_IN_STREAM, int(weight.sum()))
    streams = []
    for _ in range(STREAMS):
        pool = draw.choice(len(numbers), len(numbers))
        share = weight[pool] / weight[pool].sum()
        streams.append([known[numbers[i]] for i in draw.choice(pool, size, p=share)])
    now = np.array([_replay(scheduler, stream) for stream in streams])
    found: list[Advice] = []
    for other in _alternatives(scheduler):
        then = np.array([_replay(other, stream) for stream in streams])
        loses_no_more = np.mean(then[:, 1] <= now[:, 1]) >= SURE
        is_cheaper = np.mean(then[:, 0] < now[:, 0]) >= SURE
        is_better = np.quantile(now[:, 1] - then[:, 1], 0.5) > 0
        if loses_no_more and (is_cheaper or is_better):
            cost = float(then[:, 0].mean() / now[:, 0].mean())
            regrets = (float(then[:, 1].mean()), float(now[:, 1].mean()))
            found.append(Advice(other.min_epochs, other.reduction_factor, cost, *regrets))
    return min(found, key=lambda advice: (advice.regret, advice.epochs), default=None)


def _alternatives(scheduler: Scheduler) -> list[Scheduler]:
    """Settings with other first rungs and factors, that of the run left out."""
    firsts = {1, scheduler.min_epochs, 3 * scheduler.min_epochs, max(1, scheduler.min_epochs // 3)}
    settings = [(first, factor) for first in sorted(firsts) for factor in _FACTORS]
    return [
        scheduler.model_copy(update={"min_epochs": first, "reduction_factor": factor})
        for first, factor in settings
        if first < scheduler.max_epochs
        and (first, factor) != (scheduler.min_epochs, scheduler.reduction_factor)
    ]


def _replay(scheduler: Scheduler, stream: Sequence[Curve]) -> tuple[int, float]:
    """(epochs, regret) of a search by one worker whose trials have these curves.

    It takes the trial home that looked best where it ended; the regret is by how much the end of
    that one is below the best end of all.
    """
    rungs = Rungs(scheduler, Metric(name="goodness", mode="max"))
    epochs, shown, home = 0, -math.inf, -math.inf
    for number, curve in enumerate(stream):
        at_rungs = (epoch for epoch in rungs.by_epoch if epoch <= len(curve))
        stops = (e for e in at_rungs if rungs.arrive(number, e, curve[e - 1]) == "stop")
        ended = next(stops, len(curve))
        epochs += ended
        if curve[ended - 1] > shown:
            shown, home = curve[ended - 1], curve[-1]
    top = max(curve[-1] for curve in stream)
    return epochs, top - home
