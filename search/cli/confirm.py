"""The commands that judge a search by training more: confirm, audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from analysis.display.tables import rows_table, show_params
from search.cli.console import ERR, Screen, prints_aside, width_of
from search.cli.options import (
    Address,
    Code,
    EngineOption,
    Json,
    KeepGoing,
    Run,
    Strict,
    Verbose,
    chosen_run,
    print_json,
)
from search.cli.report import report_again
from search.run_context import DEFAULT_TERMS, Terms
from search.transport.environment import prepare_environment
from spaces.experiment import Confirm

if TYPE_CHECKING:
    from analysis.record.folder import RunFolder
    from analysis.verdict.audit import AuditResult
    from analysis.verdict.confirmation import Confirmation
    from analysis.verdict.rendering import Rendering
    from search.session import Host

app = typer.Typer(rich_markup_mode=None)
_SPARED = ("SE", "optimism", "searched")  # where the terminal is narrow, in this order
_out = Screen()


@app.command()
def confirm(
    run: Run = None,
    top: Annotated[
        int | None, typer.Option(min=1, max=100, help="Number of configurations that compete.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, max=100, help="Number of fresh seeds for each.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="The most epochs that it may cost.")
    ] = None,
    prefer_small: Annotated[
        bool | None,
        typer.Option(
            "--prefer-small/--best-mean",
            help="Within one standard error of the best, prefer the fewest parameters.",
        ),
    ] = None,
    code: Code = None,
    strict: Strict = False,
    keep_going: KeepGoing = False,
    engine: EngineOption = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train the best again, and measure the winner.

    All under fresh seeds. The test split is read once, for the winner and for the baseline.
    """
    prepare_environment(address)
    from analysis.record.folder import RunFolder, experiment_of
    from search.cli.host import terminal_host

    folder = RunFolder(chosen_run(run))
    flags = {"top": top, "seeds": seeds, "epochs": epochs, "prefer_small": prefer_small}
    given = {name: value for name, value in flags.items() if value is not None}
    settings = (experiment_of(folder).confirm or Confirm()).model_copy(update=given)
    terms = Terms(code, strict, keep_going)
    confirm_and_print(folder, settings, terminal_host(engine, address, verbose), as_json, terms)


@app.command()
def audit(
    run: Run = None,
    sample: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Number of stopped trials to continue, in all audits together.",
        ),
    ] = 12,
    code: Code = None,
    strict: Strict = False,
    keep_going: KeepGoing = False,
    engine: EngineOption = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Continue stopped trials to the end: was stopping them right?"""
    prepare_environment(address)
    from analysis.record.folder import RunFolder
    from search.cli.host import terminal_host
    from search.rerun.audit import audit_command, audit_run

    folder = RunFolder(chosen_run(run))
    host = terminal_host(engine, address, verbose)
    with prints_aside(as_json):
        found = audit_run(folder, sample, host, Terms(code, strict, keep_going))
    if found is None:
        _interrupted(audit_command(folder, sample), as_json)
    _tell(folder, found, as_json, lambda: print_audit(found, _out))


def _tell(
    folder: RunFolder, found: Confirmation | AuditResult, as_json: bool, show: Callable[[], None]
) -> None:
    """Write the report again, and print what was found."""
    report = report_again(folder)
    if as_json:
        print_json({"run": str(folder.path), **found.plain()})
        return
    show()
    if report is not None:
        _out.print(f"  {report}: the updated report", soft_wrap=True)


def _interrupted(again: str, as_json: bool) -> NoReturn:
    (ERR if as_json else _out).print(f"interrupted; go on with: {again}", soft_wrap=True)
    raise typer.Exit(130)


def confirm_and_print(
    folder: RunFolder,
    settings: Confirm,
    host: Host,
    as_json: bool = False,
    terms: Terms = DEFAULT_TERMS,
) -> None:
    """Confirm a run and print what was found.

    Raises:
        typer.Exit: with 130 when it was interrupted, with 1 when no training gave a score.
    """
    from search.rerun.confirm import confirm_command, confirm_run

    with prints_aside(as_json):
        found = confirm_run(folder, settings, host, terms)
    if found is None:
        _interrupted(confirm_command(folder, settings), as_json)
    _tell(folder, found, as_json, lambda: print_confirmation(found, _out))
    if not found.has_score:
        if not as_json:
            _out.print(f"  {folder.of_reruns.logs}: the logs", soft_wrap=True)
        raise typer.Exit(1)
    if not as_json:
        anyway = " --anyway" if found.is_worse else ""
        export = f"shoal export {folder.path} -o model{anyway}"
        _out.print(f"  {export}: export the winner", soft_wrap=True)


def print_confirmation(found: Confirmation, out: Console) -> None:
    """What ``shoal confirm`` prints: the figures of each configuration, then the finding."""
    from analysis.verdict.rendering import rendering_of

    shown = rendering_of(found)
    tables = [_standings(shown, _SPARED[:hidden]) for hidden in range(len(_SPARED) + 1)]
    out.print(next((t for t in tables if width_of(t, out) <= out.width), tables[-1]))
    measured = [held for held in (found.winner, found.baseline) if held is not None]
    for number, held in {s.trial: s for s in (*found.candidates, *measured)}.items():
        params = show_params({**held.params, **held.settings})
        out.print(f"trial {number}: {params}", soft_wrap=True)
    out.print(shown.explanation, style="dim")
    for trial, metric, scores in shown.readings:
        out.print(f"{metric} of {trial}, read once: {scores}", soft_wrap=True)
    for sentence in (*shown.gains, *shown.notes):
        out.print(sentence, soft_wrap=True)
    out.print(shown.sentence, style="bold", soft_wrap=True)


def _standings(shown: Rendering, hidden: Sequence[str]) -> Table:
    """The figures as a table, without some of those that follow from the others."""
    places = [place for place, name in enumerate(shown.columns) if name not in hidden]
    table = rows_table([shown.columns[place] for place in places], [])
    table.collapse_padding = True
    for column in table.columns:
        column.no_wrap = True  # a number that goes on in the next line is read as two
    for rows in (shown.candidates, shown.measured):
        for row in rows:
            table.add_row(*(row[place] for place in places))
        table.add_section()
    return table


def print_audit(found: AuditResult, out: Console) -> None:
    """What ``shoal audit`` prints."""
    from analysis.verdict.audit import RUNG_COLUMNS

    out.print(rows_table(RUNG_COLUMNS, found.rows))
    for sentence in found.sentences:
        out.print(sentence, soft_wrap=True)
