"""One epoch through ``Training`` against a bare loop over in-memory tensors. Target: at most 1.15.

MNIST (50,000 training images), MLP 784-512-10, batch 64, Adam 1e-3, one thread. The two take turns,
so that a busy machine slows both. The bare loop has the data as floats, keeps no losses and counts
no hits. Validation is not counted: an evaluation is timed after every epoch and subtracted.

    SHOAL_DATA=… python benchmarks/epoch.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from hardware import describe_machine, summarize
from torch import nn

from spaces.experiment import Experiment
from spaces.scheduler import Scheduler
from spaces.settings.dataset import Dataset
from spaces.settings.model import Mlp
from spaces.settings.train import Train
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.training import Training

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
HIDDEN = 512
TARGET = 1.15


def make_training(data: Data, epochs: int) -> Training:
    experiment = Experiment(
        name="epoch",
        dataset=MNIST,
        model=Mlp(hidden=[HIDDEN]),
        train=Train(lr=LEARNING_RATE, batch_size=BATCH_SIZE, optimizer="adam"),
        scheduler=Scheduler(name="none", max_epochs=epochs),
    )
    config = resolve(experiment, {}, seed=0)
    assert isinstance(config, TrainConfig)
    return Training(config, data, torch.device("cpu"))


MNIST = Dataset(name="mnist", validation=10_000 / 60_000)


class BareLoop:
    """The shortest loop that trains the same model in the same way."""

    def __init__(self, data: Data) -> None:
        pixels = torch.from_numpy(data.train.inputs).flatten(1)  # (images, 784) uint8
        self.inputs = pixels.to(torch.float32) / 255.0
        self.targets = torch.from_numpy(data.train.targets)
        torch.manual_seed(0)
        self.model = nn.Sequential(
            nn.Linear(self.inputs.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, data.outputs)
        )
        parameters = self.model.parameters()
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)

    def train_epoch(self) -> float:
        """Train one epoch; returns the gradient norm of its last step."""
        self.model.train()
        for rows in torch.randperm(len(self.targets)).split(BATCH_SIZE):
            loss = F.cross_entropy(self.model(self.inputs[rows]), self.targets[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return float(nn.utils.get_total_norm(gradients))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description="Training's epoch against a bare loop's, MNIST.")
    parser.add_argument("--pairs", type=int, default=5, help="timed epochs of each")
    pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    data = load_data(MNIST, split_seed=0)
    training, bare = make_training(data, epochs=pairs + 1), BareLoop(data)
    next(training)  # the first epoch of each warms up
    bare.train_epoch()
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(pairs):
        epoch = timed(lambda: next(training))
        evaluation = timed(training.evaluate)
        ours.append((epoch[0] - evaluation[0], epoch[1] - evaluation[1]))
        theirs.append(timed(bare.train_epoch))
    figures: dict[str, object] = {"benchmark": "epoch", "images": len(data.train)}
    for column, clock in enumerate(("wall", "cpu")):
        shoal, loop = ([seconds[column] for seconds in times] for times in (ours, theirs))
        figures[f"training_{clock}_seconds"] = summarize(shoal)
        figures[f"bare_{clock}_seconds"] = summarize(loop)
        ratio = statistics.median(shoal) / statistics.median(loop)
        figures[f"ratio_of_{clock}_medians"] = round(ratio, 3)
        ratios = [a / b for a, b in zip(shoal, loop, strict=True)]
        figures[f"ratios_of_{clock}_pairs"] = summarize(ratios)
    print(json.dumps({**figures, "target": TARGET, **describe_machine(["torch", "numpy"])}))


if __name__ == "__main__":
    main()
