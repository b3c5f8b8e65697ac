"""An epoch in float32 and in bfloat16, each as it is and compiled: MNIST, an MLP and a convnet.

The four take turns, epoch by epoch, so that a busy machine slows all of them. Compiling is timed
apart: it is the first epoch less a later one. Validation is not counted: an evaluation is timed
after every epoch and subtracted.

    SHOAL_DATA=… python benchmarks/precision.py --images 2000 --rounds 5
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from hardware import describe_machine, summarize

from spaces.experiment import Experiment
from spaces.scheduler import Scheduler
from spaces.settings.dataset import Dataset
from spaces.settings.model import Block, Convnet, Mlp
from spaces.settings.train import Train
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.training import Training

MODELS = {
    "mlp 784-512-10": Mlp(hidden=[512]),
    "convnet 32-64, 128": Convnet(
        blocks=[Block(channels=32, pool=2), Block(channels=64, pool=2)], hidden=[128]
    ),
}
VALIDATION = 1_000
VARIANTS: list[dict[str, Any]] = [
    {"precision": precision, "compile": is_compiled}
    for is_compiled, precision in itertools.product((False, True), ("float32", "bfloat16"))
]


def make_training(
    model: Mlp, variant: dict[str, Any], data: Data, dataset: Dataset, epochs: int
) -> Training:
    experiment = Experiment(
        name="precision",
        dataset=dataset,
        model=model,
        train=Train(batch_size=64, **variant),
        scheduler=Scheduler(name="none", max_epochs=epochs),
    )
    config = resolve(experiment, {}, seed=0)
    assert isinstance(config, TrainConfig)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Training(config, data, device)


def seconds(call: Callable[[], object]) -> float:
    """Of one call, until the device has done its work."""
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def epoch_seconds(training: Training) -> float:
    """Of one more epoch, without its evaluation."""
    return seconds(lambda: next(training)) - seconds(training.evaluate)


def main() -> None:
    parser = argparse.ArgumentParser(description="float32, bfloat16 and torch.compile, MNIST.")
    parser.add_argument("--images", type=int, default=50_000, help="training images")
    parser.add_argument("--rounds", type=int, default=5, help="timed epochs of each variant")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    subset = arguments.images + VALIDATION
    dataset = Dataset(name="mnist", subset=subset, validation=VALIDATION / subset)
    data = load_data(dataset, split_seed=0)
    for name, model in MODELS.items():
        epochs = arguments.rounds + 1
        trainings = [make_training(model, v, data, dataset, epochs) for v in VARIANTS]
        first = [epoch_seconds(training) for training in trainings]
        rounds = [[epoch_seconds(t) for t in trainings] for _ in range(arguments.rounds)]
        for variant, begun, times in zip(VARIANTS, first, zip(*rounds, strict=True), strict=True):
            figures = summarize(times)
            started = round(begun - float(figures["median"]), 1)
            print(
                json.dumps({"model": name, **variant, **figures, "more_at_first": started}),
                flush=True,
            )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    images = {"images": len(data.train), "gpu": gpu}
    print(json.dumps({"benchmark": "precision", **images, **describe_machine(["torch"])}))


if __name__ == "__main__":
    main()
