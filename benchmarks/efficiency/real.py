"""A real search: MLPs trained on MNIST images while 8 workers are simulated, five seeds each.

    SHOAL_DATA=... python -m benchmarks.efficiency.real

Every epoch is trained when the simulated cluster comes to it, on one core. What a configuration is
worth is its accuracy on the test images after the last epoch of two more trainings.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import islice, product
from statistics import fmean, stdev
from typing import Any

import optuna
import torch

from benchmarks.efficiency.cluster import simulate
from benchmarks.efficiency.contenders import CONTENDERS
from benchmarks.efficiency.landscape import HERE, LOWEST, Landscape
from benchmarks.efficiency.make_tables import values
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.parameters import Params
from spaces.seeds import derive_seed
from trainables.data.splits import Data, load_data, load_test

SHOWN = ("shoal", "shoal-tpe-asha", "random-asha")
CHANGES = ["dataset.subset=4000"]  # half of them train, half validate
MARKS, WORKERS, AGAIN = (100, 200, 300), 8, 2


class Real(Landscape):
    """Its curves are trained. The best is an accuracy of 1, so a regret is an error rate."""

    best = 1.0

    def __init__(self) -> None:
        self.experiment = experiment()
        self.epochs = self.experiment.scheduler.max_epochs

    def curve(self, params: Params, seed: int) -> Curve:
        return Curve(params, seed, data())

    def worth(self, params: Params) -> float:
        return _worth(json.dumps(params, sort_keys=True))


@cache
def _worth(params: str) -> float:
    seeds = [derive_seed(0, "again", number) for number in range(AGAIN)]
    return fmean(Curve(json.loads(params), seed, unseen())[-1] for seed in seeds)


class Curve(Sequence[float]):
    """The values of a training, which goes on when a later one is asked for.

    From where a training has diverged, it stays at the worst it was, as in the tables.
    """

    def __init__(self, params: Params, seed: int, data: Data) -> None:
        self._values: list[float] = []
        self._coming = values(experiment(), params, seed, data)

    def __len__(self) -> int:
        return experiment().scheduler.max_epochs

    def __getitem__(self, epoch: Any) -> Any:
        epoch = range(len(self))[epoch]
        self._values += islice(self._coming, max(0, epoch + 1 - len(self._values)))
        is_there = epoch < len(self._values)
        return self._values[epoch] if is_there else min(self._values, default=LOWEST)


@cache
def experiment() -> Experiment:
    return load_experiment(HERE / "spaces" / "mnist.yaml", CHANGES)


@cache
def data() -> Data:
    return load_data(experiment().dataset, split_seed=0)


@cache
def unseen() -> Data:
    """The same, but what is measured are the test images, which no search has seen."""
    return replace(data(), validation=load_test(experiment().dataset))


def errors_of(search: tuple[str, int]) -> tuple[str, dict[int, float]]:
    """Error rates (%) of what a contender calls best, at each mark."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, seed = search
    landscape = Real()
    contender = CONTENDERS[name](landscape, seed, MARKS[-1])
    return name, simulate(contender, landscape, WORKERS, MARKS, seed).regret


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for real, with simulated workers.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    searches = list(product(SHOWN, range(options.seeds)))
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        outcomes = pool.map(errors_of, searches, chunksize=1)
    print("error in %, mean and standard deviation, after so many epochs in all:", MARKS)
    for name in SHOWN:
        errors = [regret for of, regret in outcomes if of == name]
        cells = [[error[mark] for error in errors] for mark in MARKS]
        shown = "  ".join(f"{fmean(cell):.2f} ± {stdev(cell):.2f}" for cell in cells)
        print(f"{name:16} {shown}   (n = {len(errors)})")


if __name__ == "__main__":
    main()
