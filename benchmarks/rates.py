"""What speeds are measured of, and how: trainings one after another, and in several processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from threading import BrokenBarrierError
from typing import Any

import torch

from spaces.checks import parse_experiment
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data
from trainables.training import Training

NORMS = ("none", "batch", "layer")
ACTIVATIONS = ("none", "sigmoid", "tanh", "relu")
INITS = ("normal", "xavier", "he")


MODELS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "cnn": {
        "family": "convnet",
        "blocks": [{"channels": 8, "pool": 2}, {"channels": 16, "pool": 2}],
    },
}
BLOCKS: dict[str, dict[str, Any]] = {  # further parameters of the space
    "mlp": {},
    "cnn": {"block_norm": list(NORMS), "block_dropout": {"low": 0.0, "high": 0.4}},
}


def configurations(
    dataset: str,
    hidden: list[int],
    batch: int,
    count: int,
    model: str = "mlp",
    subset: int | None = None,
) -> list[TrainConfig]:
    """Configurations of the quickstart's space, each with another value of everything.

    Args:
        dataset: its name.
        hidden: widths.
        batch: samples.
        count: how many configurations.
        model: of ``MODELS``.
        subset: only so many training samples; None: all.
    """
    experiment = parse_experiment(
        {
            "name": "bench",
            "dataset": {"name": dataset, "subset": subset},
            "model": {**MODELS[model], "hidden": hidden},
            "train": {"batch_size": batch},
            "space": {
                "lr": {"low": 1e-5, "high": 1.0, "log": True},
                "dropout": {"low": 0.0, "high": 0.7},
                "activation": list(ACTIVATIONS),
                "init": list(INITS),
                "norm": list(NORMS),
                **BLOCKS[model],
            },
            "scheduler": {"name": "none", "max_epochs": 10_000},
            "budget": {"trials": 1},
        }
    )
    found = []
    for number in range(count):
        params: dict[str, Any] = {
            "lr": 1e-4 * 1.3 ** (number % 16),
            "dropout": 0.1 * (number % 7),
            "activation": ACTIVATIONS[number % 4],
            "init": INITS[number % 3],
            "norm": NORMS[number // 4 % 3],
        }
        if model == "cnn":
            params |= {"block_norm": params["norm"], "block_dropout": params["dropout"] / 2}
        config = resolve(experiment, params, seed=number)
        assert isinstance(config, TrainConfig)
        found.append(config)
    return found


def rate(work: Callable[[], int]) -> float:
    """Configuration-epochs per second of a piece of work that says how many it did."""
    begun = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - begun)


def one_after_another(trainings: Sequence[Training]) -> int:
    """Train an epoch of each; returns how many that were."""
    return len([next(training) for training in trainings])


class Processes:
    """Processes that train at the same time, each with one thread; they are started once.

    Args:
        count: how many.
        method: fork, where this process has used neither a GPU nor threads, or spawn.
    """

    def __init__(self, count: int, method: str) -> None:
        context = multiprocessing.get_context(method)
        self._count = count
        self._begin = context.Barrier(count)
        self._pool = ProcessPoolExecutor(count, context, _take_barrier, (self._begin,))

    def rates(
        self,
        configs: Sequence[TrainConfig],
        data: Data,
        device: torch.device,
        busy: int,
        rounds: int,
    ) -> list[float]:
        """The sum of their rates, for each round.

        Args:
            configs: shared out among those that are busy, which train theirs one after another.
            data: the splits, in host memory.
            device: of all of them.
            busy: how many train; the others wait.
            rounds: epochs of each training, after a first one that is not counted.

        Raises:
            Exception: what went wrong in one of them.
        """
        self._begin.reset()
        parts = [configs[n::busy] for n in range(busy)]
        idle: list[Sequence[TrainConfig]] = [()] * (self._count - busy)
        jobs = [
            self._pool.submit(_rates_of_one, part, data, device, rounds) for part in parts + idle
        ]
        errors = [error for job in jobs if (error := job.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, BrokenBarrierError)):
            raise error  # the others only waited for it
        return [sum(rates) for rates in zip(*(job.result() for job in jobs), strict=True)]

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


_begin: Any = None  # what the processes wait at for each other


def _take_barrier(barrier: Any) -> None:
    global _begin
    _begin = barrier


def _rates_of_one(
    configs: Sequence[TrainConfig], data: Data, device: torch.device, rounds: int
) -> list[float]:
    """The rates of one of the processes, round by round; of one without work 0."""
    torch.set_num_threads(1)
    try:
        trainings = [Training(config, data, device) for config in configs]
        one_after_another(trainings)
        found = []
        for _ in range(rounds):
            _begin.wait()
            found.append(rate(lambda: one_after_another(trainings)))
        return found
    except BaseException:
        _begin.abort()
        raise
