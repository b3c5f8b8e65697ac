"""Tables of real learning curves: many configurations of a space, trained to the end.

650 configurations a table: 400 at random, then 250 near the best so far (one of the best tenth, of
which each parameter is drawn again with probability 0.3), so that the table is dense where searches
end. 40 of them are trained under two more seeds, which says how noisy a curve is.

    SHOAL_DATA=... python -m benchmarks.efficiency.make_tables digits mnist cifar2

A table that was cut off goes on where it stopped: after a change of its space, remove its file in
``cache``. The digits take a quarter of an hour of one core, the others hours.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.parameters import Params
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.training import Training

HERE = Path(__file__).resolve().parent
RANDOM, NEAR, REPEATED = 400, (150, 100), 40
BEST_SHARE, REDRAWN = 0.1, 0.3
SEED = 12


class Job(NamedTuple):
    """A training: of which table, its number there, its parameters, and its seed."""

    table: str
    number: int
    params: Params
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the configurations of some tables.")
    parser.add_argument("tables", nargs="+", choices=[path.stem for path in spaces()])
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, default=HERE / "cache", help="Of curves so far.")
    options = parser.parse_args()
    options.cache.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for table in options.tables:
            make(table, options.cache / f"{table}.jsonl", pool)


def spaces() -> list[Path]:
    return sorted((HERE / "spaces").glob("*.yaml"))


def make(table: str, done: Path, pool: Any) -> None:
    """Train what is missing of a table, then write it."""
    experiment = experiment_of(table)
    space = experiment.search_space
    params = space.samples(RANDOM, SEED)
    curves = train((Job(table, n, p, n) for n, p in enumerate(params)), done, pool)
    for count in NEAR:
        params += near_the_best(experiment, params, curves, count)
        curves = train((Job(table, n, p, n) for n, p in enumerate(params)), done, pool)
    again = np.random.default_rng(SEED).choice(len(params), REPEATED, replace=False).tolist()
    jobs = [Job(table, n, params[n], n + s * 10_000) for n in again for s in (1, 2)]
    repeats = train(jobs, done, pool)
    content = {
        "space": experiment.plain()["space"],
        "metric": experiment.metric.name,
        "params": params,
        "curves": [curves[number] for number in range(len(params))],
        "repeats": [[number % 10_000, curve] for number, curve in sorted(repeats.items())],
    }
    path = HERE / "tables" / f"{table}.json.gz"
    path.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(json.dumps(content).encode())
    print(f"{path}: {len(params)} configurations, {path.stat().st_size:,} bytes")


def near_the_best(
    experiment: Experiment, params: list[Params], curves: dict[int, list[float | None]], count: int
) -> list[Params]:
    """Configurations that share most parameters with one of the best tenth."""
    ends = [math.nan if curves[n][-1] is None else curves[n][-1] for n in range(len(params))]
    order = np.argsort(-np.nan_to_num(np.array(ends, dtype=float), nan=-math.inf), kind="stable")
    best = order[: int(BEST_SHARE * len(params))]
    random = np.random.default_rng(SEED + len(params))
    found = []
    for place in range(count):
        parent = params[int(random.choice(best))]
        kept = {name: value for name, value in parent.items() if random.random() > REDRAWN}
        found.append(experiment.search_space.around(kept, seed=len(params) + place))
    return found


def train(jobs: Iterable[Job], done: Path, pool: Any) -> dict[int, list[float | None]]:
    """The curves of some trainings by seed; those that are there already are not trained again."""
    jobs = list(jobs)
    curves = dict(read(done))
    missing = [job for job in jobs if job.seed not in curves]
    with done.open("a") as file:
        for seed, curve in pool.imap_unordered(curve_of, missing):
            curves[seed] = curve
            file.write(json.dumps([seed, curve]) + "\n")
            file.flush()
            print(f"{done.stem}: {len(curves)} trained", end="\r", flush=True)
    return {job.seed: curves[job.seed] for job in jobs}


def read(done: Path) -> Iterator[tuple[int, list[float | None]]]:
    if done.exists():
        for line in done.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # else it was cut off
                seed, curve = json.loads(line)
                yield seed, curve


def curve_of(job: Job) -> tuple[int, list[float | None]]:
    """The metric after each epoch of a training; None from where it diverged."""
    torch.set_num_threads(1)
    experiment = experiment_of(job.table)
    curve = list(values(experiment, job.params, job.seed, data_of(job.table)))
    return job.seed, curve + [None] * (experiment.scheduler.max_epochs - len(curve))


def values(experiment: Experiment, params: Params, seed: int, data: Data) -> Iterator[float | None]:
    """Train; the metric after each epoch, until the training diverges."""
    config = resolve(experiment, params, seed)
    assert isinstance(config, TrainConfig)
    for report in Training(config, data, torch.device("cpu")):
        value = report.metrics[experiment.metric.name]
        if not all(math.isfinite(x) for x in (value, report.metrics["train_loss"])):
            return
        yield round(value, 5)


@cache
def experiment_of(table: str) -> Experiment:
    changes = []
    if table == "cifar2":
        changes = [f"dataset.root={Path(os.environ['SHOAL_DATA']) / 'cifar2'}"]
    return load_experiment(HERE / "spaces" / f"{table}.yaml", changes)


@cache
def data_of(table: str) -> Data:
    return load_data(experiment_of(table).dataset, split_seed=0)


if __name__ == "__main__":
    main()
