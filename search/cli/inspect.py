"""The commands that look into trainings: probe, compare, table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from analysis.display.numbers import SHORT, digits_apart, numbers, percent, power, spread
from analysis.display.tables import rows_table, show_column, show_params, show_value
from search.cli.console import Screen, width_of
from search.cli.options import Json, Run, Set, Spec, opened_run, print_json
from spaces.files import load_experiment
from spaces.metric import Metric
from spaces.problems import InputError

if TYPE_CHECKING:
    from search.tools.probe import Probed

MOST_COLUMNS = 5  # of panels in a picture
ENDED_EARLY = ("running", "stopped", "diverged", "failed")

app = typer.Typer(rich_markup_mode=None)
_out = Screen()


def _check_name(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".png":
        raise InputError(f"the name must end in .png, got {str(path)!r}", source="-o")
    return path


Picture = Annotated[
    Path | None,
    typer.Option("-o", help="Draw the figure into this PNG file.", callback=_check_name),
]


@app.command()
def probe(
    spec: Spec,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="A choice of the space. Default: init and activation."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Number of models to take medians over.")
    ] = 10,
    set_: Set = None,
    output: Picture = None,
    as_json: Json = False,
) -> None:
    """Show signal and gradient through untrained models."""
    from analysis.display.plots import draw_panels
    from search.tools.probe import SPREADS, panels, probe_space, shared_values

    experiment = load_experiment(spec, set_ or [])
    probed = probe_space(experiment, by or [], seeds)
    if output is not None:
        drawn = panels(probed)
        title = f"{experiment.name}: untrained, medians of {seeds} seeds"
        if shared := shared_values(probed):
            title += f"\nwith {show_params(shared)}"
        columns = min(MOST_COLUMNS, len(drawn) // len(SPREADS))
        draw_into(output, lambda: draw_panels(drawn, columns, title, output))
    if as_json:
        print_json(probed)
    else:
        _print_probes(probed, seeds, _out)


@app.command()
def compare(
    by: Annotated[list[str], typer.Option("--by", help="A parameter of the space. Repeatable.")],
    run: Run = None,
    output: Picture = None,
    as_json: Json = False,
) -> None:
    """Compare groups of trials: learning curves and a table."""
    from analysis.display.plots import draw_panels
    from analysis.insight.comparison import compare_groups, curve_panels, group_trials

    folder, experiment, trials = opened_run(run)
    groups = group_trials(list(trials), experiment.search_space.distributions, by)
    rows = compare_groups(experiment, groups)
    if output is not None:
        panels = curve_panels(groups, experiment.metric)
        title = f"{experiment.name} by {', '.join(by)}: means, with bands from lowest to highest"
        if any(line.dashed_from is not None for panel in panels for line in panel.lines):
            title += f"\nall trials reach epoch {rows[0]['epoch']}; dashed: only some"
        draw_into(output, lambda: draw_panels(panels, min(2, len(panels)), title, output))
    if as_json:
        print_json(rows)
        return
    _print_comparison(rows, experiment.metric, folder.path, _out)
    if output is not None:
        _out.print(f"{output}: the learning curves", soft_wrap=True)


@app.command()
def table(
    output: Annotated[Path, typer.Option("-o", help="A .parquet, .csv or .json file.")],
    run: Run = None,
    epochs: Annotated[bool, typer.Option("--epochs", help="Write a row for each report.")] = False,
) -> None:
    """Write all trials as a table."""
    from analysis.views.table import check_table_name, trial_table, write_table

    check_table_name(output)
    _, experiment, trials = opened_run(run)
    found = trial_table(trials, experiment.metric, by_epoch=epochs)
    write_table(found, output)
    _out.print(f"{output}: {found.num_rows} rows, {found.num_columns} columns", soft_wrap=True)


def draw_into(path: Path, draw: Callable[[], None]) -> None:
    """Draw into a file that somebody named with -o.

    Raises:
        InputError: when it can't be written.
    """
    try:
        draw()
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}", source="-o") from None


def _print_probes(probed: Sequence[Probed], seeds: int, out: Console) -> None:
    """What ``shoal probe`` prints: for each kind of model, what is left after its depth."""
    from search.tools.probe import SPREADS, shared_values

    columns = [*probed[0].values, "signal", "all", "gradient", "dead", "flat"]
    rows = []
    for one in probed:
        first, last = one.layers[0], one.layers[-1]
        signal, gradient = (f"{power(first[m])}→{power(last[m])}" for m in SPREADS)
        shares = [one.mean("dead"), one.mean("saturated")]
        texts = ["" if share is None else percent(share) for share in shares]
        over_all = power(last["activation_std"])
        rows.append([*map(show_value, one.values.values()), signal, over_all, gradient, *texts])
    out.print(rows_table(columns, rows))
    out.print(
        f"Untrained, with {show_params(shared_values(probed)) or 'nothing else'}; medians over "
        f"{seeds} seed(s). Signal and gradient (of the loss with respect to a layer's output): "
        "the standard deviation across the batch, mean over the layer's units, in the first and "
        "in the last layer; all: the last layer's over units and batch. "
        "Dead: units that vary by less than 0.001; flat: values where a sigmoid or tanh is "
        "saturated, its slope below a tenth of its greatest; means over the layers.",
        style="dim",
    )


def _print_comparison(
    rows: Sequence[dict[str, Any]], metric: Metric, path: Path, out: Console
) -> None:
    """What ``shoal compare`` prints: the groups at the epoch that all reach, then at the rungs."""
    epoch = rows[0]["epoch"]
    best = [row["best"] for row in rows]
    values = iter(numbers([held["value"] for held in best if held is not None]))
    columns = [
        *([row["group"][name] for row in rows] for name in rows[0]["group"]),
        [row["trials"] for row in rows],
        _means(rows, "value"),
        *(show_column(_plain_means(rows, name)) for name in ("training", "gap")),
        ["" if held is None else next(values) for held in best],
        ["" if held is None else held["trial"] for held in best],
        show_column(_plain_means(rows, "epochs_to_95")),
        *([row["states"].get(state, "") for row in rows] for state in ENDED_EARLY),
    ]
    names = [*rows[0]["group"], "trials", f"at epoch {epoch}", "train", "gap"]
    names += ["best", "of trial", "to 95 %"]
    out.print(f"{path}: {metric.name}, at epoch {epoch}", soft_wrap=True)
    _print_columns([*names, *ENDED_EARLY], columns, len(rows[0]["group"]), out)
    _print_epochs(rows, out)
    out.print(
        f"Means of {metric.name} ± standard deviations (in brackets: of fewer trials), each at "
        f"one epoch. Epoch {epoch} is the one that all trials reach; what diverged or failed "
        "before it has no value. Later epochs have only those that were not stopped. Train: the "
        "same measure on the training data, taken while training (dropout included); gap: by how "
        "much train is better; best: of the best trial of the group, wherever it ended; to 95 %: "
        "epochs until a completed trial is within 5 % of its own best.",
        style="dim",
    )


def _print_epochs(rows: Sequence[dict[str, Any]], out: Console) -> None:
    """The groups at every epoch at which trials are compared, where several have values."""
    places = [
        place
        for place in range(len(rows[0]["by_epoch"]))
        if any(row["by_epoch"][place]["value"] is not None for row in rows)
    ]
    if len(places) < 2:
        return
    by_place = [
        [{**row["by_epoch"][place], "trials": row["trials"]} for row in rows] for place in places
    ]
    columns = [[row["group"][name] for row in rows] for name in rows[0]["group"]]
    columns += [_means(held, "value") for held in by_place]
    names = [f"epoch {held[0]['epoch']}" for held in by_place]
    _print_columns([*rows[0]["group"], *names], columns, len(rows[0]["group"]), out)


def _print_columns(
    names: Sequence[str], columns: Sequence[Sequence[Any]], keys: int, out: Console
) -> None:
    """A table of those columns in which anything stands; several, where one is too wide.

    Args:
        names: of the columns.
        columns: the first ``keys`` of them stand in each of the tables.
        keys: how many.
    """
    used = [place for place, column in enumerate(columns) if any(cell != "" for cell in column)]
    first = [place for place in used if place < keys]
    shown = list(first)
    for place in used[len(first) :]:
        wider = _table(names, columns, [*shown, place])
        if len(shown) > len(first) and width_of(wider, out) > out.width:
            out.print(_table(names, columns, shown))
            shown = list(first)
        shown.append(place)
    out.print(_table(names, columns, shown))


def _table(names: Sequence[str], columns: Sequence[Sequence[Any]], places: Sequence[int]) -> Table:
    rows = list(zip(*(columns[place] for place in places), strict=True))
    return rows_table([names[place] for place in places], rows)


def _plain_means(rows: Sequence[dict[str, Any]], name: str) -> list[float | None]:
    """The means of a figure, group by group."""
    return [None if row[name] is None else row[name]["mean"] for row in rows]


def _means(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    """The same with standard deviations, as texts; a count where it is not that of the group."""
    digits = digits_apart((m for m in _plain_means(rows, name) if m is not None), SHORT)
    texts = []
    for row in rows:
        held = row[name]
        text = "" if held is None else spread(held["mean"], held["sd"], digits)
        texts.append(
            text if held is None or held["n"] == row.get("trials") else f"{text} ({held['n']})"
        )
    return texts
