"""The command report, and the report at the end of a search."""

from __future__ import annotations

import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import Screen, doing
from search.cli.options import Run, chosen_run
from spaces.problems import InputError

if TYPE_CHECKING:
    from analysis.record.folder import RunFolder
    from search.control.coordinator import Coordinator

app = typer.Typer(rich_markup_mode=None)
_out = Screen()


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MD = "md"
    CSV = "csv"
    JSON = "json"


@app.command()
def report(
    run: Run = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", help="The file. Default: report.html (or .md, …) in the run folder."),
    ] = None,
    format_: Annotated[
        Format,
        typer.Option("--format", help="A page, Markdown, a table of all trials, or all as JSON."),
    ] = Format.HTML,
) -> None:
    """Write the report of a run as one HTML page."""
    from analysis.report.build import write_report
    from search.export.report import report_of

    path = chosen_run(run)
    built = report_of(path)
    folder, trials = built.material.run, built.material.trials
    file = folder.report_file(format_.value) if output is None else output
    if not file.name or file.is_dir():
        raise InputError(f"must be the name of a file, got {str(output)!r}", "-o")
    try:
        write_report(built, file, format_.value)
    except OSError as error:
        raise InputError(f"{file} can't be written: {error.strerror or error}", "-o") from None
    _out.print(f"{file}: {len(trials)} trials", soft_wrap=True)


def report_at_end(folder: RunFolder, coordinator: Coordinator) -> Path | None:
    """Write the report of a search that has ended; returns the file.

    Returns None where no trial has ended, or the user is waiting for an interrupted search to
    leave; where the file can't be written that is told, for the search itself did not fail.
    """
    if coordinator.is_interrupted or not coordinator.trials.finished:
        return None
    return report_again(folder)


def report_again(folder: RunFolder) -> Path | None:
    """Write the report of a run that something was added to; returns the file.

    Returns None, with a warning, where it can't be written.
    """
    from analysis.report.build import write_report
    from search.export.report import report_of

    file, built = folder.report_file(), report_of(folder.path)
    try:
        with doing(f"writing {file}"):
            write_report(built.first() if built.takes_long else built, file)
        if built.takes_long:
            with doing(f"{file} is written; adding what mattered"):
                write_report(built, file)
    except OSError as error:
        warnings.warn(
            f"{file} can't be written: {error.strerror or error}; once that is fixed: "
            f"shoal report {folder.path}",
            stacklevel=2,
        )
        return None
    return file
