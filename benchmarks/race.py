"""The race of ``shoal confirm`` on made searches whose true scores are known.

Thirty configurations are searched once each, and the best five raced with up to five seeds, three
trainings side by side. Printed, for the rule of today and for that of earlier versions: how
many trainings the choice took (25 at most), how often the best of the five won, and by how much
the winner is worse than it, in standard deviations of a seed's noise.

    python benchmarks/race.py
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np

from analysis.record.events import Job
from search.rerun.race import Race
from spaces.metric import Metric

METRIC = Metric(name="val_accuracy", mode="max")
SIDE_BY_SIDE = 3
LANDSCAPES = {  # spread of the true scores, from and to which noise
    "clear: truth 1.0, noise 0.3 to 0.6 points": (0.01, 0.003, 0.006),
    "close: truth 0.4, noise 0.3 to 0.6 points": (0.004, 0.003, 0.006),
    "noisy: truth 1.0, noise 1.0 to 2.0 points": (0.01, 0.01, 0.02),
}


def main() -> None:
    """Print a table for each landscape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=1000)
    searches = parser.parse_args().searches
    for name, (spread, least, most) in LANDSCAPES.items():
        draw = np.random.default_rng(0)
        found: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(searches):
            for rule, figures in compare(draw, spread, draw.uniform(least, most)).items():
                found.setdefault(rule, []).append(figures)
        print(f"\n{name} ({searches} searches)")
        print(f"{'rule':<36}{'trainings':>10}{'best won':>10}{'regret':>18}")
        for rule, rows in found.items():
            trainings, best, regret = np.mean(rows, axis=0)
            error = np.std([row[2] for row in rows]) / math.sqrt(searches)
            print(f"{rule:<36}{trainings:>10.1f}{best:>10.1%}{regret:>10.3f} ± {error:.3f}")


def compare(
    draw: np.random.Generator, spread: float, noise: float
) -> dict[str, tuple[float, float, float]]:
    """One made search: by rule the trainings, whether the best won, and the regret."""
    truth = draw.normal(0.9, spread, 30)
    searched = truth + draw.normal(0.0, noise, 30)
    best = [int(number) for number in np.argsort(-searched)[:5]]
    sizes = {number: int(size) for number, size in enumerate(draw.permutation(30))}
    scores = draw.normal(truth[:, None], noise, (30, 5))  # the same for every rule
    today = Race(best, None, 5, METRIC, sizes, {n: float(searched[n]) for n in best})
    rules = {
        "posterior": today,
        "posterior, without the search": dataclasses.replace(today, searched={}),
        "posterior, prefer_small": dataclasses.replace(today, prefer_small=True),
        "bounds": dataclasses.replace(today, rule="bounds"),
        "bounds, prefer_small (earlier)": dataclasses.replace(
            today, rule="bounds", prefer_small=True
        ),
    }
    highest = max(truth[number] for number in best)
    figures = {}
    for name, race in rules.items():
        ended = choose(race, lambda job: float(scores[job.trial, job.index]))
        winner = race.winner(ended)
        assert winner is not None
        regret = float(highest - truth[winner])
        figures[name] = (float(len(ended)), float(regret == 0.0), regret / noise)
    return figures


def choose(race: Race, score: Callable[[Job], float]) -> Mapping[Job, float]:
    """The trainings by which a race chooses, so many side by side, in turn."""
    begun: list[Job] = []
    ended: dict[Job, float] = {}
    while True:
        while len(begun) - len(ended) < SIDE_BY_SIDE:
            job = race.next(begun, ended)
            if job is None or job.purpose != "choose":
                break
            begun.append(job)
        if len(begun) == len(ended):
            return ended
        job = begun[len(ended)]
        ended[job] = score(job)


if __name__ == "__main__":
    main()
