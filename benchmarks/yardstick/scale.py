"""What the driver can bear: many workers, many trials, and a search of 100,000 of them.

Without Ray, whose own cost per event ``benchmarks/with_ray.py`` measures. Each measurement is a
process of its own:

    python -m benchmarks.yardstick.scale efficiency tpe 100 300   sampler, workers, trials
    python -m benchmarks.yardstick.scale suggestion tpe 1000      sampler, trials that have ended
    python -m benchmarks.yardstick.scale long random 100000       sampler, trials of 1 to 3 epochs
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import psutil

from analysis.record.journal import Journal
from benchmarks.yardstick.contenders.each import JOB_FILES
from benchmarks.yardstick.farm import Farm, searching
from benchmarks.yardstick.measured import run
from benchmarks.yardstick.record import Record, Row
from search.control.coordinator import Coordinator
from spaces.experiment import Experiment
from spaces.files import load_experiment

EPOCH_SECONDS = 10.0
WORKERS = (1, 10, 100, 300, 1000)
SIZES = (100, 1000, 10_000)
SAMPLERS = ("curves", "tpe", "random")
LONG = 100_000
QUICK_LONG = 2000
_SUGGESTIONS = 10  # timed at each size
_LEAST_SECONDS, _MOST_SECONDS = 10.0, 900.0  # of one measurement
_PARTS = 10  # of a long search
_TRIALS_PER_WORKER = 3
_FEWEST_TRIALS = 60


def experiment_of(sampler: str, trials: int, max_epochs: int = 27) -> Experiment:
    """The digits job's space, with another sampler and size."""
    changes = {
        "sampler.name": sampler,
        "budget.trials": trials,
        "scheduler.max_epochs": max_epochs,
    }
    return load_experiment(JOB_FILES / "digits.yaml", changes)


def efficiency(sampler: str, workers: int, trials: int) -> Row:
    """How busy simulated workers are whose epochs take ``EPOCH_SECONDS``."""
    experiment = experiment_of(sampler, trials)
    with TemporaryDirectory() as folder, searching(experiment, Path(folder)) as coordinator:
        farm = Farm(coordinator, workers, EPOCH_SECONDS)
        farm.run()
    return {
        "efficiency": round(farm.efficiency, 4),
        "report_ms": _median_ms(farm.report_seconds),
        "suggestion_ms": _median_ms(farm.suggestion_seconds),
    }


def suggestion(sampler: str, trials: int) -> Row:
    """CPU time of a suggestion when so many trials have ended; those were drawn at random."""
    with TemporaryDirectory() as folder:
        with searching(experiment_of("random", trials), Path(folder)) as coordinator:
            Farm(coordinator, 4, EPOCH_SECONDS).run()
        journal = coordinator.journal.path
        again = _resumed(experiment_of(sampler, trials), journal)
        spent = []
        for _ in range(_SUGGESTIONS):
            before = time.process_time()
            trial = again.next_trial()
            spent.append(time.process_time() - before)
            assert trial is not None
            again.report(trial.number, 1, {"val_accuracy": 0.5})
        again.journal.close()
    return {"suggestion_ms": _median_ms(spent)}


def _resumed(experiment: Experiment, journal: Path) -> Coordinator:
    coordinator = Coordinator(experiment, Journal(journal))
    coordinator.resume(trials=_SUGGESTIONS)
    return coordinator


def long(sampler: str, trials: int) -> Row:
    """Cost per event and memory of a long search of short trials, by tenths.

    Each tenth is printed on standard error as it ends, with the CPU seconds so far.
    """
    import search.session
    import search.transport.on_ray.tune  # noqa: F401 - PyTorch and Ray, as a driver has them

    experiment, process = experiment_of(sampler, trials, max_epochs=3), psutil.Process()
    marks: list[Row] = []
    with TemporaryDirectory() as folder, searching(experiment, Path(folder)) as coordinator:
        farm = Farm(coordinator, 8, EPOCH_SECONDS)

        def mark() -> None:
            if len(coordinator.trials) >= trials * (len(marks) + 1) // _PARTS:
                marks.append({"trials": len(coordinator.trials), **_spent(farm)})
                marks[-1]["memory_mib"] = round(process.memory_info().rss / 2**20)
                marks[-1]["cpu_seconds"] = round(time.process_time(), 1)
                print(json.dumps(marks[-1]), file=sys.stderr, flush=True)
                farm.report_seconds.clear()
                farm.suggestion_seconds.clear()

        farm.run(mark)
        ended = len(coordinator.trials.finished)
    return {"ended": ended, "tenths": marks}


def _spent(farm: Farm) -> Row:
    costs = [*farm.report_seconds, *farm.suggestion_seconds]
    return {
        "event_ms": round(1e3 * statistics.fmean(costs), 3),
        "report_ms": _median_ms(farm.report_seconds),
        "suggestion_ms": _median_ms(farm.suggestion_seconds),
    }


def _median_ms(seconds: list[float]) -> float:
    return round(1e3 * statistics.median(seconds), 3)


def measure_scale(
    record: Record, is_quick: bool, until: float, note: Callable[[str], None]
) -> None:
    """Make each measurement that today's code has not made yet on this machine.

    One that was not done when the time was over is made again where more is left.
    """
    for what in _measurements(is_quick):
        if until - time.monotonic() < _LEAST_SECONDS:
            return
        if any(not row["is_late"] for row in record.here(part="scale", what=what)):
            continue
        left = min(_MOST_SECONDS, until - time.monotonic())
        row = _in_process(what, left)
        record.add({"part": "scale", "what": what, **row})
        note(f"{what}: {row.get('error', 'done')}")


def _measurements(is_quick: bool) -> list[str]:
    """Arguments of this program: those that take a minute at most, the long search, all others."""
    quick = [*_farms(WORKERS[:3]), *_suggestions(SIZES[:2])]
    if is_quick:
        return [*quick, f"long random {QUICK_LONG}"]
    return [*quick, f"long random {LONG}", *_farms(WORKERS[3:]), *_suggestions(SIZES[2:])]


def _farms(workers: Sequence[int]) -> list[str]:
    trials = {count: max(_FEWEST_TRIALS, _TRIALS_PER_WORKER * count) for count in workers}
    return [f"efficiency {name} {count} {trials[count]}" for count in workers for name in SAMPLERS]


def _suggestions(sizes: Sequence[int]) -> list[str]:
    return [f"suggestion {name} {size}" for size in sizes for name in SAMPLERS]


def _in_process(what: str, most_seconds: float) -> Row:
    command = [sys.executable, "-m", "benchmarks.yardstick.scale", *what.split()]
    with TemporaryDirectory() as folder:
        found = run(command, most_seconds, Path(folder, "printed"))
    if found.code is None:
        return {"error": f"not done after {found.seconds:.0f} s", "is_late": True}
    if found.code != 0:
        return {"error": f"ended with {found.code}: {found.output[-600:]}", "is_late": False}
    row: Row = json.loads(found.output.strip().splitlines()[-1])
    return {**row, "is_late": False, "seconds": round(found.seconds, 1)}


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    measurement, sampler, *numbers = sys.argv[1:]
    measurements: dict[str, Callable[..., Row]] = {
        "efficiency": efficiency,
        "suggestion": suggestion,
        "long": long,
    }
    print(json.dumps(measurements[measurement](sampler, *map(int, numbers))))


if __name__ == "__main__":
    main()
