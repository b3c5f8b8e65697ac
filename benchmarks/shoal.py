"""Many configurations as one model, against the same ones trained each by itself.

Digits or MNIST, networks that differ in learning rate, dropout, activation, init and norm: MLPs, or
with --model cnn convnets of two blocks, 8 and 16 channels, each pooled. In turn, in one process: a
shoal of --lanes; the same trainings one after another (--alone of them). Beside it, --processes
that train one after another at the same time, each with one thread: the plain engine at its best.
Configuration-epochs per second; each with its evaluation.

    python benchmarks/shoal.py [--model cnn] [--hidden 64] [--lanes 16] [--batch 32] [--rounds 5]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import optuna
import torch
from hardware import describe_machine, summarize

from spaces.checks import parse_experiment
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.shoal.shoal import Shoal
from trainables.training import Training

CPU = torch.device("cpu")
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


def configurations(options: argparse.Namespace) -> list[TrainConfig]:
    """Configurations of the quickstart's space, each with another value of everything."""
    experiment = parse_experiment(
        {
            "name": "bench",
            "dataset": {"name": options.dataset, "subset": options.subset},
            "model": {**MODELS[options.model], "hidden": options.hidden},
            "train": {"batch_size": options.batch},
            "space": {
                "lr": {"low": 1e-5, "high": 1.0, "log": True},
                "dropout": {"low": 0.0, "high": 0.7},
                "activation": list(ACTIVATIONS),
                "init": list(INITS),
                "norm": list(NORMS),
                **BLOCKS[options.model],
            },
            "scheduler": {"name": "none", "max_epochs": 10_000},
            "budget": {"trials": 1},
        }
    )
    found = []
    for number in range(options.lanes):
        params: dict[str, Any] = {
            "lr": 1e-4 * 1.3 ** (number % 16),
            "dropout": 0.1 * (number % 7),
            "activation": ACTIVATIONS[number % 4],
            "init": INITS[number % 3],
            "norm": NORMS[number // 4 % 3],
        }
        if options.model == "cnn":
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


def one_after_another(trainings: list[Training]) -> int:
    return len([next(training) for training in trainings])


def process(configs: list[TrainConfig], data: Data, begin: Any, epochs: int, rates: Any) -> None:
    """One of the processes beside each other."""
    torch.set_num_threads(1)
    trainings = [Training(config, data, CPU) for config in configs]
    one_after_another(trainings)
    for _ in range(epochs):
        begin.wait()
        rates.put(rate(lambda: one_after_another(trainings)))


def beside(configs: list[TrainConfig], data: Data, processes: int, rounds: int) -> list[float]:
    """The sum of the rates of processes that train at the same time, for each round."""
    context = multiprocessing.get_context("fork")
    begin, rates = context.Barrier(processes), context.Queue()
    parts = [configs[number::processes] for number in range(processes)]
    workers = [
        context.Process(target=process, args=(part, data, begin, rounds, rates)) for part in parts
    ]
    for worker in workers:
        worker.start()
    found = [rates.get() for _ in range(processes * rounds)]
    for worker in workers:
        worker.join()
    return [sum(found[n : n + processes]) for n in range(0, len(found), processes)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--subset", type=int, help="only so many training images")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--hidden", type=int, nargs="*", default=[64])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--alone", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the shoal")
    parser.add_argument("--processes", type=int, default=2, help="0: leave them out")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(describe_machine(["torch"]), vars(options))
    configs = configurations(options)
    data = load_data(configs[0].dataset, 0)
    alone = configs[: options.alone]
    rates: dict[str, list[float]] = {"processes": []}
    if options.processes:  # before this process has threads
        rates["processes"] = beside(alone, data, options.processes, options.rounds)
    shoal = Shoal(configs[0], data, CPU, options.lanes)
    for lane, config in enumerate(configs):
        shoal.admit(lane, config)
    trainings = [Training(config, data, CPU) for config in alone]
    works = {
        "shoal": (options.threads, lambda: len(shoal.train_epoch())),
        "one by one": (1, lambda: one_after_another(trainings)),
    }
    for number in range(options.rounds + 1):
        for name, (threads, work) in works.items():
            torch.set_num_threads(threads)
            measured = rate(work)
            if number:  # the first is not counted
                rates.setdefault(name, []).append(measured)
    for name, found in rates.items():
        if found:
            print(f"{name:>12}: {summarize(found)} configuration-epochs per second")


if __name__ == "__main__":
    main()
