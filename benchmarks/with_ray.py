"""CPU time and memory of the driver with Ray Tune in it: a real search of do-nothing trials.

Everything is as in ``shoal search``, workers included; only the training does nothing. The CPU time
of the whole driver process (Ray's threads too, suggestions counted apart) is divided by the reports
that came meanwhile, for each tenth of the search: so one sees whether it grows. The start and the
end of a trial are in it, and weigh more the fewer epochs a trial has. The sampler is random, for
TPE's time is measured by ``driver.py`` and ``scale.py``.

    python benchmarks/with_ray.py --trials 1000
    python benchmarks/with_ray.py --trials 10000 --epochs 3
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from search.transport.environment import prepare_environment

prepare_environment()

import optuna  # noqa: E402
from driver import Clock  # noqa: E402
from hardware import describe_machine, summarize  # noqa: E402

from analysis.record.folder import RunFolder  # noqa: E402
from analysis.record.trials import Trial  # noqa: E402
from search.control.coordinator import Coordinator  # noqa: E402
from search.lifecycle import start_search  # noqa: E402
from spaces.files import load_experiment  # noqa: E402

SPEC = """
name: nothing
trainable: nothing.py:train
space:
  lr: {low: 1e-5, high: 1.0, log: true}
  dropout: {low: 0.0, high: 0.7}
metric: {name: val_accuracy, mode: max}
resources: {cpus: 0.5}
"""
TENTHS = 10
TARGETS = {"report_ms": 5.0, "memory_gib": 2.0}


class Meter:
    """What the driver had spent when each tenth of the trials began."""

    def __init__(self, trials: int) -> None:
        self.suggesting = Clock()
        self.readings: list[tuple[float, int]] = []  # CPU seconds without suggestions, reports
        self._every = max(1, trials // TENTHS)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read at suggestions, which every trial has one of."""
        suggest = Coordinator.next_trial

        def timed(coordinator: Coordinator) -> Trial | None:
            if len(coordinator.trials) // self._every >= len(self.readings):
                self.read(coordinator)
            return self.suggesting.time("suggestion", lambda: suggest(coordinator))

        with patch.object(Coordinator, "next_trial", timed):
            yield

    def read(self, coordinator: Coordinator) -> None:
        suggestions = sum(self.suggesting.milliseconds.get("suggestion", [])) / 1e3
        self.readings.append((time.process_time() - suggestions, coordinator.trials.epochs))

    def report_ms(self) -> list[float]:
        """CPU time of the driver per report, by tenth."""
        pairs = zip(self.readings, self.readings[1:], strict=False)
        return [1e3 * (then[0] - now[0]) / (then[1] - now[1]) for now, then in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description="The driver's CPU time with Ray Tune in it.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=27)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    changes = ["sampler.name=random", "scheduler.name=none", "seed=0"]
    changes += [f"budget.trials={arguments.trials}", f"scheduler.max_epochs={arguments.epochs}"]
    meter = Meter(arguments.trials)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        spec = Path(scratch, "nothing.yaml")
        spec.write_text(SPEC)
        spec.with_name("nothing.py").write_text(Path(__file__).with_name("nothing.py").read_text())
        began = time.monotonic()
        with meter.watching():
            coordinator = start_search(
                load_experiment(str(spec), changes), RunFolder(Path(scratch, "run"))
            )
        seconds = time.monotonic() - began
    by_tenth = meter.report_ms()
    figures = {
        "benchmark": "with_ray",
        "trials": len(coordinator.trials),
        "epochs": arguments.epochs,
        "states": coordinator.trials.counts(),
        "report_ms": summarize(by_tenth),
        "report_ms_by_tenth": [round(spent, 2) for spent in by_tenth],
        "seconds": round(seconds),
        "memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "targets": TARGETS,
    }
    print(json.dumps({**figures, **describe_machine(["ray", "optuna", "pydantic"])}))


if __name__ == "__main__":
    main()
