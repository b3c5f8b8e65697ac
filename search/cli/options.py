"""Arguments and options that several commands share, and how a run is chosen by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.display.plain import json_text

if TYPE_CHECKING:
    from analysis.record.events import Event
    from analysis.record.folder import RunFolder
    from analysis.record.trials import Trials
    from spaces.experiment import Experiment

RUNS = Path("runs")

Spec = Annotated[str, typer.Argument(help="An experiment file, or the name of a study.")]
Run = Annotated[Path | None, typer.Argument(help="A run's folder; left out: the newest.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Replace a setting of the file, as a.b=value.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster (auto or host:port); left out: this machine.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Let Ray's messages through.")]
Output = Annotated[Path | None, typer.Option("-o", help="A new or empty folder for the bundle.")]
Code = Annotated[
    Path | None,
    typer.Option(help="Your own code has moved: its new file, or the folder that it lies in now."),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse when data, code or versions have changed since then."),
]
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Search on when the baseline, or all that begins, fails."),
]
Top = Annotated[int | None, typer.Option(min=1, help="So many of the best.")]


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
