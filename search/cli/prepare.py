"""The commands before a search: studies, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from analysis.display.tables import rows_table, show_params, show_value, space_table
from search.cli.console import ERR, Screen
from search.cli.options import Json, Set, Spec, print_json, print_note
from spaces.files import load_experiment, studies

app = typer.Typer(rich_markup_mode=None)
_out = Screen()


@app.command(name="studies")
def list_studies(as_json: Json = False) -> None:
    """List the ready-made studies."""
    found = [(name, load_experiment(name).question or "") for name in studies()]
    if as_json:
        print_json([{"name": name, "question": question} for name, question in found])
    else:
        _out.print(rows_table(("study", "question"), found))


@app.command()
def show(
    spec: Spec,
    set_: Set = None,
    as_json: Json = False,
    images: Annotated[
        Path | None, typer.Option(help="Draw training images into this PNG file.")
    ] = None,
) -> None:
    """Show what a file says: the network, the space, the budget."""
    from search.tools.describe import describe_experiment, draw_training_images

    experiment = load_experiment(spec, set_ or [], print_note)
    found = describe_experiment(experiment)
    if images is not None:
        count = draw_training_images(experiment, images)
        ERR.print(f"{images}: {count} training images")
    print_json(found) if as_json else print_description(found, _out)


def print_description(found: dict[str, Any], out: Console) -> None:
    """What ``shoal show`` prints."""
    experiment = found["experiment"]
    out.print(experiment["name"], style="bold")
    if experiment.get("question"):
        out.print(experiment["question"])
    for section in ("dataset", "train", "metric", "sampler", "scheduler"):
        if experiment.get(section):
            fixed = show_params(_telling(experiment[section]))
            out.print(f"{section + ':':<10} {fixed}", soft_wrap=True)
    if found["layers"]:
        layers = [(row["layer"], f"{row['parameters']:,}") for row in found["layers"]]
        table = rows_table(("layer", "parameters"), layers)
        table.columns[1].justify, table.columns[1].no_wrap = "right", True
        table.add_section()
        table.add_row("total (baseline)", f"{found['parameters']:,}")
        out.print(table)
    if found["variants"]:
        columns = ("parameter", "variant", "settings", "parameters")
        out.print(rows_table(columns, [_variant(row) for row in found["variants"]]))
    out.print(space_table(found["space"]))
    budget = {name: value for name, value in found["budget"].items() if value is not None}
    limits = ", ".join(f"{name.replace('_', ' ')} {show_value(v)}" for name, v in budget.items())
    out.print(f"budget: {limits}")


def _telling(section: dict[str, Any]) -> dict[str, Any]:
    """A section without what is switched off."""
    if section.get("name") == "none":  # a scheduler that stops nobody
        return {name: section[name] for name in ("name", "max_epochs")}
    if isinstance(section.get("schedule"), dict) and section["schedule"]["name"] == "constant":
        section = {**section, "schedule": "constant"}
    return {name: value for name, value in section.items() if value not in (None, False, 0, "none")}


def _variant(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """A variant's row; the networks of the user's own code are not ours to count."""
    counted = "" if row["parameters"] is None else f"{row['parameters']:,}"
    return row["parameter"], row["name"], show_params(row["settings"]), counted
