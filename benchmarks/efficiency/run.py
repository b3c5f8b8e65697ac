"""How many epochs a search needs: every contender on every landscape, paired by seed.

    python -m benchmarks.efficiency.run --workers 8 --seeds 30

Each search writes a line to ``results.jsonl``; those that are there are not repeated: remove it
after a change of a table, a contender or a library. Then ``RESULTS.md`` is written. A row of it is
the median regret over the seeds, in points of accuracy, with the 95 % bootstrap interval of the
median.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import optuna
from threadpoolctl import threadpool_limits

from benchmarks.efficiency.cluster import simulate
from benchmarks.efficiency.contenders import CONTENDERS, KNOW_THE_BUDGET, SHOWN
from benchmarks.efficiency.landscape import HERE, Landscape, Modelled, Recorded
from benchmarks.hardware import describe_machine

MARKS = (100, 300, 600, 1200)
SEEN = tuple(
    range(50, MARKS[-1] + 1, 50)
)  # at which it is looked whether a search is near the best
NEAR = (0.5, 0.2, 0.1)  # points
KINDS: dict[str, type[Landscape]] = {"model": Modelled, "recorded": Recorded}
TABLES = sorted(path.name.split(".")[0] for path in (HERE / "tables").glob("*.json.gz"))
KEYS = ("table", "lookup", "workers", "contender")
RESULTS = HERE / "results.jsonl"
PAGE = """# How many epochs a search needs

Regret of the configuration that a contender calls best, in points of accuracy, after so many epochs
in all: the median over the seeds, with the 95 % bootstrap interval of the median. `one-epoch` knows
its budget and searches anew for each.

Written by `{command}`: {count} simulated
searches, {minutes} minutes of one core. {date}; {cpu}; {versions}.

{table}

## How many epochs to come near the best

The median over the seeds of the epochs, in steps of 50, after which the regret stays within so many
points; `–`: more than half of the searches did not come so near.

{near}

## Shoal against each other, seed by seed

The mean difference of the regret to Shoal's with the same seed, with its 95 % bootstrap interval:
above 0, Shoal was better.

{paired}
"""


class Search(NamedTuple):
    """One simulated search."""

    table: str
    kind: str
    workers: int
    contender: str
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate searches.")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=SHOWN)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    given = (options.tables, options.kinds, options.workers, options.contenders)
    searches = [Search(*one, seed) for seed in range(options.seeds) for one in product(*given)]
    done = {Search(*line["search"]) for line in read()}
    missing = [search for search in searches if search not in done]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(outcome_of, missing):
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
    (HERE / "RESULTS.md").write_text(report(read()))


def read() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text().splitlines()]


def outcome_of(search: Search) -> dict[str, Any]:
    """Simulate a search; a contender that knows its budget searches once for each mark."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began, regret, trials = time.process_time(), {}, 0
    with threadpool_limits(1):
        landscape = landscape_of(search.kind, search.table)
        make = CONTENDERS[search.contender]
        is_told = search.contender in KNOW_THE_BUDGET
        for marks in [(mark,) for mark in MARKS] if is_told else [SEEN]:
            contender = make(landscape, search.seed, marks[-1])
            outcome = simulate(contender, landscape, search.workers, marks, search.seed)
            regret |= outcome.regret
            trials = len(outcome.begun)
    seconds = round(time.process_time() - began, 2)
    return {"search": list(search), "regret": regret, "trials": trials, "seconds": seconds}


@cache
def landscape_of(kind: str, table: str) -> Landscape:
    return KINDS[kind](table)


def report(lines: list[dict[str, Any]]) -> str:
    """The page of results."""
    machine = describe_machine(["optuna", "ray", "numpy"])
    seconds = sum(line["seconds"] for line in lines)
    return PAGE.format(
        date=f"{datetime.now():%Y-%m-%d}",
        cpu=machine["cpu"],
        versions=", ".join(f"{k} {v}" for k, v in dict(machine["versions"]).items()),
        command=" ".join(["python -m benchmarks.efficiency.run", *sys.argv[1:]]),
        count=len(lines),
        minutes=f"{seconds / 60:.0f}",
        table=table_of_results(lines),
        near=table_of_near(lines),
        paired=table_of_differences(lines),
    )


def table_of_results(lines: Iterable[dict[str, Any]]) -> str:
    """Median regret by landscape and contender, at each mark."""
    rows = []
    for key, regrets in sorted(_by_group(lines).items()):
        at_marks = [[r[str(mark)] for r in regrets.values()] for mark in MARKS]
        rows.append([*map(str, key), str(len(regrets)), *(_with_interval(v) for v in at_marks)])
    return _table([*KEYS, "n", *map(str, MARKS)], rows)


def table_of_near(lines: Iterable[dict[str, Any]]) -> str:
    """Median epochs until the regret stays within some distances of the best."""
    rows = []
    for key, regrets in sorted(_by_group(lines).items()):
        if key[3] not in KNOW_THE_BUDGET:
            firsts = [[_near_from(r, points) for r in regrets.values()] for points in NEAR]
            rows.append([*map(str, key), *(_epochs(np.median(first)) for first in firsts)])
    return _table([*KEYS, *(f"{points} points" for points in NEAR)], rows)


def table_of_differences(lines: Iterable[dict[str, Any]]) -> str:
    """Mean difference of each contender's regret to Shoal's, by seed."""
    groups, rows = _by_group(lines), []
    for key, regrets in sorted(groups.items()):
        ours = groups.get((*key[:3], "shoal"), {})
        seeds = regrets.keys() & ours.keys()
        if key[3] != "shoal" and seeds:
            cells = [
                _with_interval(
                    [regrets[s][str(mark)] - ours[s][str(mark)] for s in sorted(seeds)], np.mean
                )
                for mark in MARKS
            ]
            rows.append([*map(str, key), str(len(seeds)), *cells])
    return _table([*KEYS, "n", *map(str, MARKS)], rows)


Group = tuple[str, str, int, str]


def _by_group(lines: Iterable[dict[str, Any]]) -> dict[Group, dict[int, dict[str, float]]]:
    """By table, lookup, workers and contender: the regrets at marks, by seed."""
    groups: dict[Group, dict[int, dict[str, float]]] = {}
    for line in lines:
        groups.setdefault(tuple(line["search"][:4]), {})[line["search"][4]] = line["regret"]
    return groups


def _near_from(regrets: dict[str, float], points: float) -> float:
    """After how many epochs a search stays so near to the best; infinite: it never does."""
    marks = sorted(map(int, regrets))
    far = [place for place, mark in enumerate(marks) if regrets[str(mark)] > points]
    first = far[-1] + 1 if far else 0
    return marks[first] if first < len(marks) else np.inf


def _epochs(count: float) -> str:
    return f"{count:.0f}" if np.isfinite(count) else "–"


def _with_interval(values: list[float], middle: Callable[..., Any] = np.median) -> str:
    """The middle of some values, with its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = middle(random.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{middle(values):.2f} ({low:.2f} to {high:.2f})"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
