"""The commands before a search: studies, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import ERR, Screen
from search.cli.options import Json, Set, Spec, print_json, print_note
from spaces.files import load_experiment, studies

app = typer.Typer(rich_markup_mode=None)
_out = Screen()


@app.command(name="studies")
def list_studies(as_json: Json = False) -> None:
    """List the ready-made studies."""
    from analysis.display.tables import rows_table

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
    from search.cli.render import print_description
    from search.tools.describe import describe_experiment, draw_training_images

    experiment = load_experiment(spec, set_ or [], print_note)
    found = describe_experiment(experiment)
    if images is not None:
        count = draw_training_images(experiment, images)
        ERR.print(f"{images}: {count} training images")
    print_json(found) if as_json else print_description(found, _out)
