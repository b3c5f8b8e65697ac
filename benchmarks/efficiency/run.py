"""How many epochs a search needs: every contender on every landscape, paired by seed.

    python -m benchmarks.efficiency.run --workers 8 --seeds 30

Each search writes a line to ``results.jsonl``, with a digest of the code and the tables that it
depends on; those that are there are not repeated, and those of other code are left out. Then the
page ``RESULTS.md`` and its picture are made. Where early epochs mislead, only the table MISLEADING
is searched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import time
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import optuna
from threadpoolctl import threadpool_limits

from benchmarks.efficiency.cluster import simulate
from benchmarks.efficiency.contenders import CONTENDERS, KNOW_THE_BUDGET, SHOWN
from benchmarks.efficiency.defaults import DEFAULTS
from benchmarks.efficiency.forest import Forest
from benchmarks.efficiency.landscape import HERE, Landscape, Modelled, Recorded
from benchmarks.efficiency.misleading import SlowStarters, WarmUp
from benchmarks.efficiency.page import MARKS, draw, report

SEEN = tuple(range(50, MARKS[-1] + 1, 50))
KINDS: dict[str, type[Landscape]] = {
    "model": Modelled,
    "forest": Forest,
    "recorded": Recorded,
    "warm-up": WarmUp,
    "slow-starters": SlowStarters,
}
MISLEADING = "digits"
USUAL = [kind for kind in KINDS if kind != "recorded"]
ALL = CONTENDERS | DEFAULTS
TABLES = sorted(path.name.split(".")[0] for path in (HERE / "tables").glob("*.json.gz"))
RESULTS = HERE / "results.jsonl"


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
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=USUAL)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--contenders", nargs="+", choices=ALL, default=SHOWN)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    given = (options.tables, options.kinds, options.workers, options.contenders)
    searches = [Search(*one, seed) for seed in range(options.seeds) for one in product(*given)]
    searches = [one for one in searches if is_searched(one)]
    if not searches:
        parser.error(f"only {MISLEADING} has landscapes that mislead")
    done = {Search(*line["search"]) for line in read()}
    missing = [search for search in searches if search not in done]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(outcome_of, missing):
            with RESULTS.open("a") as file:
                file.write(json.dumps(line) + "\n")
    lines = read()
    (HERE / "RESULTS.md").write_text(report(lines))
    draw(lines, HERE.parents[1] / "docs" / "efficiency.png")


def is_searched(search: Search) -> bool:
    """Whether a kind of lookup is there for a table."""
    return search.kind not in ("warm-up", "slow-starters") or search.table == MISLEADING


def read() -> list[dict[str, Any]]:
    """The searches that today's code has made."""
    if not RESULTS.exists():
        return []
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    return [line for line in lines if line["sources"] == sources()]


@cache
def sources() -> str:
    """A digest of the code that proposes and decides, and of what is searched."""
    aside = ("run.py", "page.py", "real.py", "make_tables.py")
    files = sorted(file for file in HERE.glob("*.py") if file.name not in aside)
    files += sorted((HERE / "tables").iterdir())
    for folder in ("search/control", "search/surrogate"):
        files += sorted((HERE.parents[1] / folder).glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def outcome_of(search: Search) -> dict[str, Any]:
    """Simulate a search; a contender that knows its budget searches once for each mark."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began, regret, trials = time.process_time(), {}, 0
    with threadpool_limits(1):
        landscape = landscape_of(search.kind, search.table)
        make = ALL[search.contender]
        is_told = search.contender in KNOW_THE_BUDGET
        for marks in [(mark,) for mark in MARKS] if is_told else [SEEN]:
            contender = make(landscape, search.seed, marks[-1])
            outcome = simulate(contender, landscape, search.workers, marks, search.seed)
            regret |= outcome.regret
            trials = len(outcome.begun)
    seconds = round(time.process_time() - began, 2)
    made = {"regret": regret, "trials": trials, "seconds": seconds, "sources": sources()}
    return {"search": list(search), **made}


@cache
def landscape_of(kind: str, table: str) -> Landscape:
    return KINDS[kind](table)


if __name__ == "__main__":
    main()
