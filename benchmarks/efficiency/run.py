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
from collections.abc import Iterable
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
KINDS: dict[str, type[Landscape]] = {"model": Modelled, "recorded": Recorded}
TABLES = sorted(path.name.split(".")[0] for path in (HERE / "tables").glob("*.json.gz"))
RESULTS = HERE / "results.jsonl"
PAGE = """# How many epochs a search needs

Regret of the configuration that a contender calls best, in points of accuracy, after so many epochs
in all: the median over the seeds, with the 95 % bootstrap interval of the median. `one-epoch` knows
its budget and searches anew for each.

Written by `{command}`: {count} simulated
searches, {minutes} minutes of one core. {date}; {cpu}; {versions}.

{table}
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
        for marks in [(mark,) for mark in MARKS] if is_told else [MARKS]:
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
    )


def table_of_results(lines: Iterable[dict[str, Any]]) -> str:
    """Median regret by landscape and contender, at each mark."""
    groups: dict[tuple[str, str, int, str], list[dict[str, float]]] = {}
    for line in lines:
        groups.setdefault(tuple(line["search"][:4]), []).append(line["regret"])
    rows = ["| table | lookup | workers | contender | n | " + " | ".join(map(str, MARKS)) + " |"]
    rows.append("|" + "---|" * (5 + len(MARKS)))
    for key, regrets in sorted(groups.items()):
        cells = [_median([r[str(mark)] for r in regrets if str(mark) in r]) for mark in MARKS]
        rows.append("| " + " | ".join([*map(str, key), str(len(regrets)), *cells]) + " |")
    return "\n".join(rows)


def _median(values: list[float]) -> str:
    if not values:
        return ""
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.median(values):.2f} ({low:.2f}–{high:.2f})"


if __name__ == "__main__":
    main()
