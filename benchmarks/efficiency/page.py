"""The page of the bench and its picture, from the lines of ``results.jsonl``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.efficiency.contenders import KNOW_THE_BUDGET, SHOWN
from benchmarks.hardware import describe_machine

MARKS = (100, 300, 600, 1200)
NEAR = (0.5, 0.2, 0.1)  # points
KEYS = ("table", "lookup", "workers", "contender")
PAGE = """# How many epochs a search needs

Regret of the configuration that a contender calls best, in points of accuracy, after so many epochs
in all: the median over the seeds, with the 95 % bootstrap interval of the median, which is too
narrow where n is below ten. `one-epoch` knows its budget and searches anew for each. The model that
answers is a Gaussian process, as is the one by which Shoal proposes: that may favour Shoal.

The last command was `{command}`. In all there are
{count} simulated searches, {minutes} minutes of one core. {date}; {cpu}; {versions}.

{table}

## How many epochs to come near the best

The median over the seeds of the epochs, in steps of 50, after which the regret stays within so many
points; `–`: half of the searches or more did not come so near.

{near}

## How many epochs Shoal needs to be as good

The median over the seeds of the epochs, in steps of 50, from which on Shoal's regret is not above
the one that the other has after 1,200 epochs with the same seed; `–`: it is above in half
of them or more.

{as_good}

## Shoal against each other, seed by seed

The median difference of the regret to Shoal's with the same seed, with its 95 % bootstrap interval:
above 0, Shoal was better.

{paired}
"""


def report(lines: list[dict[str, Any]]) -> str:
    """The page of results."""
    machine = describe_machine(["optuna", "ray", "scikit-learn", "numpy"])
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
        as_good=table_of_as_good(lines),
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


def table_of_as_good(lines: Iterable[dict[str, Any]]) -> str:
    """Median epochs until Shoal is as good as each contender is at the end, by seed."""
    rows = []
    for key, ours, theirs in _pairs(lines):
        firsts = [_near_from(ours[seed], theirs[seed][str(MARKS[-1])]) for seed in ours]
        rows.append([*map(str, key), str(len(firsts)), _epochs(np.median(firsts))])
    return _table([*KEYS, "n", "epochs"], rows)


def table_of_differences(lines: Iterable[dict[str, Any]]) -> str:
    """Median difference of each contender's regret to Shoal's, by seed."""
    rows = []
    for key, ours, theirs in _pairs(lines):
        at_marks = [[theirs[seed][str(m)] - ours[seed][str(m)] for seed in ours] for m in MARKS]
        cells = [_with_interval(differences) for differences in at_marks]
        rows.append([*map(str, key), str(len(ours)), *cells])
    return _table([*KEYS, "n", *map(str, MARKS)], rows)


def draw(lines: Iterable[dict[str, Any]], path: Path) -> None:
    """The median regret of each contender over the epochs, for each landscape."""
    groups = _by_group(lines)
    places = sorted({(table, kind) for table, kind, _, _ in groups})
    workers = sorted({count for _, _, count, _ in groups})
    figure = Figure(figsize=(4 * len(workers), 3 * len(places)), layout="constrained")
    axes = figure.subplots(len(places), len(workers), squeeze=False, sharex=True, sharey=True)
    for (table, kind, count, name), regrets in sorted(groups.items()):
        if name in SHOWN and name not in KNOW_THE_BUDGET:
            marks = sorted(map(int, next(iter(regrets.values()))))
            middle = [np.median([r[str(mark)] for r in regrets.values()]) for mark in marks]
            axis = axes[places.index((table, kind)), workers.index(count)]
            width, color = (2.5 if name == "shoal" else 1.0), f"C{SHOWN.index(name)}"
            axis.plot(marks, middle, label=name, linewidth=width, color=color)
            axis.set(title=f"{table}, {kind}, workers: {count}", yscale="log", ylim=(0.2, 12))
            axis.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
            axis.tick_params(labelleft=True, labelbottom=True)
            axis.minorticks_off()
    for axis in axes[:, 0]:
        axis.set(ylabel="regret, points")
    for axis in axes[-1]:
        axis.set(xlabel="epochs in all")
    for axis in axes.flat:
        axis.set_visible(bool(axis.get_lines()))
    handles = {h.get_label(): h for axis in axes.flat for h in axis.get_lines()}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=100)


Group = tuple[str, str, int, str]
Regrets = dict[int, dict[str, float]]  # at marks, by seed


def _by_group(lines: Iterable[dict[str, Any]]) -> dict[Group, Regrets]:
    """By table, lookup, workers and contender: the regrets at marks, by seed."""
    groups: dict[Group, Regrets] = {}
    for line in lines:
        groups.setdefault(tuple(line["search"][:4]), {})[line["search"][4]] = line["regret"]
    return groups


def _pairs(lines: Iterable[dict[str, Any]]) -> Iterator[tuple[Group, Regrets, Regrets]]:
    """Each contender but Shoal: its key, Shoal's regrets, and its own with the same seeds."""
    groups = _by_group(lines)
    for key, regrets in sorted(groups.items()):
        ours = groups.get((*key[:3], "shoal"), {})
        seeds = sorted(regrets.keys() & ours.keys())
        if key[3] != "shoal" and seeds:
            yield key, {s: ours[s] for s in seeds}, {s: regrets[s] for s in seeds}


def _near_from(regrets: dict[str, float], points: float) -> float:
    """After how many epochs a search stays so near to the best; infinite: it never does."""
    marks = sorted(map(int, regrets))
    far = [place for place, mark in enumerate(marks) if regrets[str(mark)] > points]
    first = far[-1] + 1 if far else 0
    return marks[first] if first < len(marks) else np.inf


def _epochs(count: float) -> str:
    return f"{count:.0f}" if np.isfinite(count) else "–"


def _with_interval(values: list[float]) -> str:
    """The median of some values, with its 95 % bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(values, (2000, len(values))), axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.median(values):.2f} ({low:.2f} to {high:.2f})"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
