"""The commands that judge a search by training more: confirm, audit."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from analysis.confirmation import figure_names, figures_of
from analysis.tables import rows_table, show_params
from search.environment import prepare_environment
from search.options import Address, Json, Run, Verbose, chosen_run, print_json
from search.reporting import report_again
from spaces.experiment import Confirm

if TYPE_CHECKING:
    from analysis.confirmation import Confirmation
    from analysis.run import RunFolder
    from search.hindsight import Hindsight

app = typer.Typer(rich_markup_mode=None)
_out = Console(highlight=False, markup=False, emoji=False)


@app.command()
def confirm(
    run: Run = None,
    top: Annotated[
        int | None, typer.Option(min=1, max=100, help="So many of the best configurations.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=2, max=100, help="So many fresh seeds for each.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="What it may cost; refused if it can cost more.")
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train the best again under fresh seeds, choose one, measure it, read the test split once."""
    prepare_environment(address)
    from analysis.run import RunFolder, experiment_of

    folder = RunFolder(chosen_run(run))
    flags = {"top": top, "seeds": seeds, "epochs": epochs}
    given = {name: value for name, value in flags.items() if value is not None}
    settings = (experiment_of(folder).confirm or Confirm()).model_copy(update=given)
    confirm_and_print(folder, settings, address, verbose, as_json)


@app.command()
def audit(
    run: Run = None,
    sample: Annotated[
        int, typer.Option(min=1, max=10_000, help="So many stopped trials, over all rungs.")
    ] = 12,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Take stopped trials on to the end, and say whether stopping them was right."""
    prepare_environment(address)
    from analysis.run import RunFolder
    from search.audit import audit_command, audit_run

    folder = RunFolder(chosen_run(run))
    found = audit_run(folder, sample, address, verbose)
    if found is None:
        _interrupted(audit_command(folder, sample), as_json)
    elif as_json:
        print_json({"run": str(folder.path), **found.plain()})
    else:
        print_hindsight(found, _out)


def _interrupted(again: str, as_json: bool) -> NoReturn:
    print(f"interrupted; go on with: {again}", file=sys.stderr if as_json else sys.stdout)
    raise typer.Exit(130)


def confirm_and_print(
    folder: RunFolder, settings: Confirm, address: str | None, verbose: bool, as_json: bool = False
) -> None:
    """Confirm a run and print what was found.

    Raises:
        typer.Exit: with 130 when it was interrupted.
    """
    from search.confirm import confirm_command, confirm_run

    found = confirm_run(folder, settings, address, verbose)
    if found is None:
        _interrupted(confirm_command(folder, settings), as_json)
    report = report_again(folder)
    if as_json:
        print_json({"run": str(folder.path), **found.plain()})
        return
    print_confirmation(found, _out)
    _out.print(f"  shoal export {folder.path} -o bundle: take it home, with its weights")
    if report is not None:
        _out.print(f"  {report}: the report, with all this", soft_wrap=True)


def print_confirmation(found: Confirmation, out: Console) -> None:
    """What ``shoal confirm`` prints: the figures of each configuration, then the finding."""
    scale = found.scale
    measured = [("winner", found.winner), ("baseline", found.baseline)]
    held = [(role, standing) for role, standing in measured if standing is not None]
    raced = [(found.role(standing), standing) for standing in found.candidates]
    table = rows_table(("", "trial", *figure_names(scale)), [])
    for rows in (raced, held):
        for role, standing in rows:
            table.add_row(role, str(standing.trial), *figures_of(standing, scale))
        table.add_section()
    out.print(table)
    for number, params in {s.trial: s.params for _, s in (*raced, *held)}.items():
        out.print(f"trial {number}: {show_params(params)}", soft_wrap=True)
    out.print("the winner was chosen by the candidates' scores, and measured under other seeds")
    for test in found.tests:
        scores = ", ".join(scale.score(s) if math.isfinite(s) else "lost" for s in test.scores)
        out.print(f"{test.metric} of trial {test.trial}, read once: {scores}", soft_wrap=True)
    for line in found.earlier:
        out.print(f"an earlier confirmation: {line}", soft_wrap=True)
    if found.note:
        out.print(found.note, soft_wrap=True)
    out.print(found.sentence, style="bold", soft_wrap=True)


def print_hindsight(found: Hindsight, out: Console) -> None:
    """What ``shoal audit`` prints."""
    rows = [
        (rung.epoch, rung.n, f"{r.value:.2f}", f"{r.low:.2f} to {r.high:.2f}")
        for rung in found.rungs
        for r in [rung.correlation]
    ]
    out.print(rows_table(("rung", "trials", "rank correlation with the end", "95 %"), rows))
    beaten, regret = found.beaten, found.regret
    share = 1 - found.epochs / found.epochs_to_the_end
    for line in (
        f"{len(found.beating)} of {found.audited} stopped trials that were trained to the end beat "
        f"the best of the run (trial {found.best}); of all {found.stopped} stopped ones that makes "
        f"{beaten.value:.1f} (95 %: {beaten.low:.1f} to {beaten.high:.1f})",
        f"regret: had nobody been stopped, the best would have been better by {regret.value:.2g} "
        f"(95 %: {regret.low:.2g} to {regret.high:.2g})",
        f"epochs: {found.epochs} instead of {found.epochs_to_the_end}, {share:.0%} saved",
        "each of these is one training with one seed: a small lead may be noise, see shoal confirm",
        _advised(found),
    ):
        out.print(line, soft_wrap=True)


def _advised(found: Hindsight) -> str:
    advice = found.advice
    if advice is None:
        return "the data speak for no other min_epochs or reduction_factor"
    return (
        f"the data speak for min_epochs: {advice.min_epochs}, reduction_factor: "
        f"{advice.reduction_factor}: {advice.epochs:.0%} of the epochs, and a regret of "
        f"{advice.regret:.2g} where this setting has {advice.regret_now:.2g} (replayed on the "
        "known curves)"
    )
