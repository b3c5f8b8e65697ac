"""What checkpoints of 1 GiB cost a training: none, in the background, and waited for.

Own code sleeps for --seconds an epoch and saves a state of --gib at its end. What an epoch takes
beyond its sleep is how long the training stands still; the CPU time is what the checkpoint takes
from whatever else the machine does. The wish: less than 5 % of an epoch of 30 s, or 1.5 s.

    python benchmarks/checkpoint.py [--rounds 5] [--seconds 30] [--gib 1] [--folder DIR]
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
    for epoch in range(context.max_epochs):
        time.sleep(config["seconds"])
        if config["saves"]:
            context.save({"state": state})
        yield {"loss": float(epoch)}
"""
PLANS = {
    "none": SavePlan(every_epochs=10**9),
    "in the background": SavePlan(),
    "waited for": SavePlan(ends=frozenset(range(10**4))),
}


@dataclass
class Variant:
    """One way to save, and what its epochs took beyond their sleep, in seconds."""

    worker: Worker
    sleep: float
    stood_still: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        """Train two epochs; the first, whose state no epoch waits for, is not counted."""
        for is_counted in (False, True):
            begun, begun_cpu = time.perf_counter(), time.process_time()
            outcome = self.worker.step()
            assert outcome.error is None, outcome.error
            assert outcome.fault is None, outcome.fault
            if is_counted:
                self.stood_still.append(time.perf_counter() - begun - self.sleep)
                self.cpu.append(time.process_time() - begun_cpu)
        assert self.worker._saving is not None
        self.worker._saving.finish()


def worker(folder: Path, name: str, number: int, seconds: float, epochs: int, gib: float) -> Worker:
    config = CodeConfig(
        trainable=f"{folder}/own.py:train",
        settings={"gib": gib, "seconds": seconds, "saves": name != "none"},
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--gib", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, help="of the checkpoints; left out: a temporary one")
    options = parser.parse_args()
    print(describe_machine(["torch"]))
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        (folder / "own.py").write_text(CODE)
        (folder / "checkpoints").mkdir()
        asked = (options.seconds, 2 * options.rounds, options.gib)
        variants = {
            name: Variant(worker(folder, name, number, *asked), options.seconds)
            for number, name in enumerate(PLANS)
        }
        for _ in range(options.rounds):
            for variant in variants.values():
                variant.take_turn()
        for variant in variants.values():
            variant.worker.close()
    for name, variant in variants.items():
        stood, cpu = summarize(variant.stood_still), summarize(variant.cpu)
        print(f"{name:>18}: stands still for {stood} s per epoch, CPU {cpu} s")


if __name__ == "__main__":
    main()
