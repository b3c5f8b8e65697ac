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

import optuna
import torch
from hardware import describe_machine, summarize
from rates import MODELS, Processes, configurations, one_after_another, rate

from trainables.data.splits import load_data
from trainables.shoal.shoal import Shoal
from trainables.training import Training

CPU = torch.device("cpu")


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
    configs = configurations(
        options.dataset,
        options.hidden,
        options.batch,
        options.lanes,
        options.model,
        options.subset,
    )
    data = load_data(configs[0].dataset, 0)
    alone = configs[: options.alone]
    rates: dict[str, list[float]] = {"processes": []}
    if options.processes:  # before this process has threads
        with Processes(options.processes, "fork") as processes:
            asked = (options.processes, options.rounds)
            rates["processes"] = processes.rates(alone, data, CPU, *asked)
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
