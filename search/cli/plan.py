"""The command plan: what a search takes, before it begins."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from analysis.display.numbers import duration, number, percent
from analysis.display.tables import rows_table
from search.cli.console import Screen, prints_aside
from search.cli.options import Json, Set, Spec, print_json, print_note
from spaces.files import load_experiment
from spaces.problems import InputError

if TYPE_CHECKING:
    from search.plan.costs import Range
    from search.plan.plan import Plan

app = typer.Typer(rich_markup_mode=None)
_out = Screen()
_MOST_WORKERS = 10_000
_HOUR_DIGITS, _MANY_HOURS = 2, 100
_ELSEWHERE = (
    "warning: there is no GPU here, so epochs were timed on the CPU: take times and costs as those "
    "of CPUs, or plan where the search will run"
)


@app.command()
def plan(
    spec: Spec,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=_MOST_WORKERS, help="How many workers train. Default: compare."),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=1, max=_MOST_WORKERS, help="The same, as a number of GPUs."),
    ] = None,
    hours: Annotated[
        float | None, typer.Option(help="Also list the budgets that end within so many hours.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(help="Of a device-hour: a GPU, or a process where none is used.")
    ] = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Tell what a search will take: time, workers, disk, money."""
    if price is not None and not 0 <= price < math.inf:
        raise InputError(f"must be 0 or more, and finite, got {price:g}", "--price")
    if workers is not None and gpus is not None:
        raise InputError("--workers and --gpus cannot be used together", "--gpus")
    experiment = load_experiment(spec, set_ or [], print_note)
    began = time.perf_counter()
    from search.cli.host import Terminal
    from search.plan.plan import Asked, plan_of

    process = time.perf_counter() - began  # a search, and each of its workers, imports as much
    with prints_aside(as_json):
        again = shlex.join(["shoal", "plan", spec, *(f"--set={change}" for change in set_ or [])])
        found = plan_of(experiment, Asked(workers, gpus, hours), Terminal(), again, process)
    print_json(found.document(price)) if as_json else print_plan(found, price, _out)


def print_plan(found: Plan, price: float | None, out: Console) -> None:
    """What ``shoal plan`` prints.

    Args:
        found: the plan.
        price: of a device-hour.
        out: where.
    """
    if found.is_timed_elsewhere:
        out.print(_ELSEWHERE, soft_wrap=True, style="yellow")
    out.print(f"{found.experiment.name}: {_measured(found)}", soft_wrap=True)
    out.print(_table(found, price))
    out.print(_trained(found), soft_wrap=True)
    if len(found.rows) > 1:
        out.print(_useful(found), soft_wrap=True)
    row, costs = found.row, found.measured.costs
    out.print(
        f"disk: {_size(row.disk_bytes)}, of which each checkpoint takes "
        f"{_size(costs.checkpoint_bytes)}",
        soft_wrap=True,
    )
    if found.confirming is not None:
        at_most = duration(found.confirming.seconds)
        more = f"at most {found.confirming.most_epochs} more epochs, {at_most}"
        out.print(f"confirming the best, not counted above: {more}", soft_wrap=True)
    if found.asked.hours is not None:
        _print_budgets(found, found.asked.hours, price, out)
    for assumption in found.assumptions:
        out.print(assumption, soft_wrap=True, style="dim")


def _measured(found: Plan) -> str:
    """What was measured, in words."""
    epoch, together = found.measured.epoch, found.measured.together
    low, mean, high = map(_seconds, (epoch.low, epoch.typical, epoch.high))
    epochs = f"an epoch takes {low} to {high}, on the average {mean}"
    if together is not None:
        epochs += f"; of {together.lanes} as one model {_seconds(together.seconds)} for all"
    count = found.measured.trained
    return f"{epochs} ({count} training{'s' if count > 1 else ''} timed here)"


def _table(found: Plan, price: float | None) -> Table:
    """A row for each number of workers."""
    columns = ["workers", "engine", "wall time", "busy", "device-hours"]
    columns += [] if price is None else ["cost"]
    trials_differ = len({row.trials.typical for row in found.rows}) > 1  # as hours allow
    columns += ["trials"] if trials_differ else []
    rows = []
    for row in found.rows:
        is_here = row.workers == found.workers and len(found.rows) > 1
        seconds, cost = row.seconds, row.cost(price)
        rows.append(
            [
                f"{row.workers} (here)" if is_here else str(row.workers),
                f"{row.engine}, {row.lanes} each" if row.lanes > 1 else row.engine,
                f"{duration(seconds.typical)} ({_between(seconds, duration)})",
                percent(row.busy),
                _hours(row.device_hours),
                *([] if cost is None else [f"{cost:.2f}"]),
                *([str(round(row.trials.typical))] if trials_differ else []),
            ]
        )
    return rows_table(columns, rows)


def _trained(found: Plan) -> str:
    """What is trained, in words."""
    row, last = found.row, found.experiment.scheduler.max_epochs
    return (
        f"{_counts(row.trials)} trials, of which {_counts(row.completed)} reach epoch {last}; "
        f"{_counts(row.epochs)} epochs in all"
    )


def _useful(found: Plan) -> str:
    """How many workers help."""
    last, workers = found.experiment.scheduler.max_epochs, found.useful_workers
    if workers is None:
        most = found.rows[-1].workers
        return f"more workers help, up to the {most} that were simulated"
    row = next(row for row in found.rows if row.workers == workers)
    ends, proposals = duration(row.ends_seconds), duration(row.proposal_seconds)
    alone = duration(last * found.measured.epoch.typical)
    count = "more workers" if workers == 1 else f"more than {workers} workers"
    return (
        f"{count} do not help: start and report take {ends}, proposals {proposals}, "
        f"and a trial that goes to epoch {last} {alone}"
    )


def _print_budgets(found: Plan, hours: float, price: float | None, out: Console) -> None:
    """The budgets that fit."""
    assert found.budgets is not None
    workers = f"{found.workers} worker{'s' if found.workers > 1 else ''}"
    if not found.budgets:
        out.print(f"no search near this one ends in {hours:g} h with {workers}", soft_wrap=True)
        return
    own = found.experiment.scheduler
    out.print(
        f"in {hours:g} h, {workers} can train one of these, even if the sampler learns much:",
        soft_wrap=True,
    )
    rows = [
        [
            f"{fitting.trials} *" if fitting.scheduler == own else str(fitting.trials),
            str(fitting.scheduler.max_epochs),
            str(fitting.scheduler.reduction_factor) if fitting.scheduler.rung_epochs else "",
            str(round(fitting.epochs)),
            str(round(fitting.completed)),
            duration(fitting.seconds),
            *([] if (cost := fitting.cost(price)) is None else [f"{cost:.2f}"]),
        ]
        for fitting in found.budgets
    ]
    names = ["trials", "max_epochs", "reduction_factor", "epochs", "to the end", "wall time"]
    out.print(rows_table([*names, *([] if price is None else ["cost"])], rows))
    out.print("*: the file's; epochs, wall time and cost are typical ones", soft_wrap=True)


def _hours(hours: float) -> str:
    return number(hours, _HOUR_DIGITS) if hours < _MANY_HOURS else f"{hours:,.0f}"


def _counts(held: Range) -> str:
    return _between(held, lambda value: str(round(value)))


def _between(held: Range, show: Callable[[float], str]) -> str:
    low, high = show(held.low), show(held.high)
    return low if low == high else f"{low} to {high}"


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{number(1000 * seconds, 3)} ms"


def _size(size: float) -> str:
    """``66 kB``, ``4.2 MB``, ``1.3 GB``."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
