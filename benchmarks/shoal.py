"""Many configurations as one model, against the same ones trained each by itself.

Digits or MNIST, networks that differ in learning rate, dropout, activation, init and norm: MLPs, or
with --model cnn convnets of two blocks, 8 and 16 channels, each pooled. In turn, in one process: a
shoal of --lanes; the same trainings one after another (--alone of them). Beside it, --processes
that train one after another at the same time, each with one thread: the plain engine at its best.
Configuration-epochs per second; each with its evaluation.

    python benchmarks/shoal.py [--model cnn] [--hidden 64] [--lanes 16] [--batch 32] [--rounds 5]

With --widths, what padding could gain at most: a shoal for each width (--lanes in all), which take
turns, against as many lanes of the widest in one shoal.

    python benchmarks/shoal.py --widths 32 64 128 --lanes 15
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import optuna
import torch
from hardware import describe_machine, summarize
from rates import MODELS, Processes, configurations, one_after_another, rate

from spaces.training_config import TrainConfig
from trainables.data.splits import Data, load_data
from trainables.shoal.shoal import Shoal
from trainables.training import Training

CPU = torch.device("cpu")
Works = dict[str, tuple[int, Callable[[], int]]]  # with how many threads what is done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--subset", type=int, help="only so many training images")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--hidden", type=int, nargs="*", default=[64])
    parser.add_argument("--widths", type=int, nargs="*", help="of one hidden layer")
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--alone", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of the shoal")
    parser.add_argument("--processes", type=int, default=2, help="0: leave them out")
    options = parser.parse_args()
    if options.widths and options.lanes < len(options.widths):
        parser.error("--lanes: each width needs one")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(describe_machine(["torch"]), vars(options))
    rates = of_widths(options) if options.widths else of_engines(options)
    for name, found in rates.items():
        if found:
            print(f"{name:>18}: {summarize(found)} configuration-epochs per second")


def of_engines(options: argparse.Namespace) -> dict[str, list[float]]:
    """The rates of a shoal, of trainings one by one, and of processes."""
    configs = asked(options, options.hidden, options.lanes)
    data = load_data(configs[0].dataset, 0)
    alone = configs[: options.alone]
    rates: dict[str, list[float]] = {"processes": []}
    if options.processes:  # before this process has threads
        with Processes(options.processes, "fork") as processes:
            asked_for = (options.processes, options.rounds)
            rates["processes"] = processes.rates(alone, data, CPU, *asked_for)
    shoal = shoal_of(configs, data)
    trainings = [Training(config, data, CPU) for config in alone]
    works: Works = {
        "shoal": (options.threads, lambda: len(shoal.train_epoch())),
        "one by one": (1, lambda: one_after_another(trainings)),
    }
    return rates | rates_in_turn(works, options.rounds)


def of_widths(options: argparse.Namespace) -> dict[str, list[float]]:
    """The rates of a shoal for each width, and of one whose lanes are all as wide as the widest.

    But for the widths, the configurations are the same.
    """
    widths, most = options.widths, max(options.widths)
    configs = {width: asked(options, [width], options.lanes) for width in widths}
    data = load_data(configs[most][0].dataset, 0)
    widest = shoal_of(configs[most], data)
    shoals = [shoal_of(configs[width][n :: len(widths)], data) for n, width in enumerate(widths)]
    works: Works = {
        "one for each width": (
            options.threads,
            lambda: sum(len(shoal.train_epoch()) for shoal in shoals),
        ),
        "one of the widest": (options.threads, lambda: len(widest.train_epoch())),
    }
    return rates_in_turn(works, options.rounds)


def asked(options: argparse.Namespace, hidden: list[int], count: int) -> list[TrainConfig]:
    """Configurations as the options ask for."""
    return configurations(
        options.dataset, hidden, options.batch, count, options.model, options.subset
    )


def shoal_of(configs: Sequence[TrainConfig], data: Data) -> Shoal:
    """A shoal of some configurations."""
    shoal = Shoal(configs[0], data, CPU, len(configs))
    for lane, config in enumerate(configs):
        shoal.admit(lane, config)
    return shoal


def rates_in_turn(works: Works, rounds: int) -> dict[str, list[float]]:
    """The rates of each piece of work, round by round, after a first one that is not counted."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, (threads, work) in works.items():
            torch.set_num_threads(threads)
            measured = rate(work)
            if number:
                rates[name].append(measured)
    return rates


if __name__ == "__main__":
    main()
