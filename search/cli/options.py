"""Arguments and options that several commands share, and how a run is chosen by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.display.plain import json_text
from search.cli.console import ERR
from spaces.experiment import Engine

if TYPE_CHECKING:
    from analysis.record.events import Event
    from analysis.record.folder import RunFolder
    from analysis.record.trials import Trials
    from spaces.experiment import Experiment

RUNS = Path("runs")

Spec = Annotated[
    str, typer.Argument(metavar="SPEC", help="An experiment file, or the name of a study.")
]
Run = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="A run folder. Default: the newest in runs/.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Replace a setting. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Address = Annotated[
    str | None, typer.Option(help="A Ray cluster: auto, or host:port. Default: this machine.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show Ray's messages.")]
Output = Annotated[
    Path | None, typer.Option("-o", help="A new or empty folder for the exported model.")
]
EngineOption = Annotated[
    Engine | None,
    typer.Option(
        "--engine",
        help="tune: on Ray. inline: in this process, one trial after the other. "
        "fused: many trials as one model. auto: the fastest, as measured.",
    ),
]
Code = Annotated[
    Path | None,
    typer.Option(help="The new file or folder of your own code, if it has moved."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse if data, code or versions have changed."),
]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Continue even if the baseline or all first trials fail."),
]
Top = Annotated[int | None, typer.Option(min=1, help="Number of trials to show.")]


def chosen_run(run: Path | None) -> Path:
    """The folder that was named, or the newest below ``runs``.

    Raises:
        InputError: when there is none.
    """
    from analysis.record.folder import newest_run

    return newest_run(RUNS) if run is None else run


def opened_run(
    run: Path | None, *takers: Callable[[Event], None]
) -> tuple[RunFolder, Experiment, Trials]:
    """The run that was named, or the newest; ``takers`` are given every event of it, too.

    Raises:
        InputError: when there is none, or its journal is damaged.
    """
    from analysis.record.folder import open_run

    return open_run(chosen_run(run), *takers)


def print_json(document: object) -> None:
    """Print one JSON document; null stands for what is no finite number."""
    print(json_text(document), flush=True)


def print_text(text: str) -> None:
    """Print a text for another program, such as CSV, as it is."""
    print(text, end="", flush=True)


def print_note(line: str) -> None:
    """Print a line that should be read, on standard error."""
    ERR.print(f"note: {line}")
