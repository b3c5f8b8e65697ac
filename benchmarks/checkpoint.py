"""What checkpoints of 1 GiB cost a training: none, in the background, and waited for.

Own code trains a small network with PyTorch, on one thread, for about as many seconds an epoch as
--seconds says, and saves a state of --gib at the end of each. The three take turns, so that a busy
machine slows all of them: each trains an epoch that is not counted, whose checkpoint is written
while the two epochs train that are. The wish: less than 5 % of an epoch of 30 s.

    python benchmarks/checkpoint.py [--rounds 2] [--seconds 30] [--gib 1] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from hardware import describe_machine, summarize

from spaces.metric import Metric
from spaces.training_config import CodeConfig
from trainables.checkpoints.saving import SavePlan
from trainables.worker.messages import Assignment
from trainables.worker.output import Echo
from trainables.worker.place import Here
from trainables.worker.worker import Worker

CODE = """
import time, torch

def train(config, context):
    state = torch.rand(int(config["gib"] * 2**30) // 4)
    layers = torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10)
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters())
    inputs, targets = torch.rand(64, 784), torch.randint(10, (64,))
    for epoch in range(context.max_epochs):
        for _ in range(config["steps"]):
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        state += 1.0
        if config["saves"]:
            context.save({"state": state, "model": model.state_dict()})
        yield {"loss": loss}
"""
PLANS = {
    "none": SavePlan(every_epochs=10**9),
    "in the background": SavePlan(),
    "waited for": SavePlan(ends=frozenset(range(10**4))),
}


@dataclass
class Variant:
    """One way to save, and how long its epochs took."""

    worker: Worker
    seconds: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        """Train three epochs, of which the second and third count."""
        for is_counted in (False, True, True):
            begun = time.perf_counter()
            outcome = self.worker.step()
            if is_counted:
                self.seconds.append(time.perf_counter() - begun)
            assert outcome.error is None, outcome.error
            assert outcome.fault is None, outcome.fault
        assert self.worker._saving is not None
        self.worker._saving.finish()


def worker(folder: Path, name: str, number: int, steps: int, epochs: int, gib: float) -> Worker:
    config = CodeConfig(
        trainable=f"{folder}/own.py:train",
        settings={"gib": gib, "steps": steps, "saves": name != "none"},
        metric=Metric(name="loss", mode="min"),
        epochs=epochs,
        max_epochs=epochs,
        seed=0,
        threads=1,
    )
    assignment = Assignment(
        trial=number,
        config=config.model_dump(mode="json"),
        reported=0,
        checkpoints=str(folder / "checkpoints"),
        origin=None,
        project=None,
        log_file=str(folder / f"{number}.txt"),
        files=(str(folder), f"files/{number}", None),
        epoch_timeout_seconds=None,
        saving=PLANS[name],
    )
    held = Worker(None, Here(), Echo())
    held.take(assignment)
    return held


def steps_for(folder: Path, seconds: float) -> int:
    """How many steps take about so long here."""
    held = worker(folder, "none", 99, 2000, 2, 0.001)
    held.step()
    begun = time.perf_counter()
    held.step()
    held.close()
    return max(1, round(2000 * seconds / (time.perf_counter() - begun)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="of the checkpoints; left out: a temporary one")
    options = parser.parse_args()
    print(describe_machine(["torch"]))
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        (folder / "own.py").write_text(CODE)
        (folder / "checkpoints").mkdir()
        steps = steps_for(folder, options.seconds)
        variants = {
            name: Variant(worker(folder, name, number, steps, 3 * options.rounds, options.gib))
            for number, name in enumerate(PLANS)
        }
        for _ in range(options.rounds):
            for variant in variants.values():
                variant.take_turn()
        for variant in variants.values():
            variant.worker.close()
    for name, variant in variants.items():
        print(f"{name:>18}: {summarize(variant.seconds)} s per epoch")


if __name__ == "__main__":
    main()
