"""The commands that look after runs and machines: rebuild, replay, repair, clean, doctor."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from typing import Annotated

import typer

from search.cli.console import ERR, Screen
from search.cli.options import (
    Address,
    Json,
    Run,
    Set,
    Strict,
    chosen_run,
    opened_run,
    print_json,
)
from search.transport.environment import prepare_environment

app = typer.Typer(rich_markup_mode=None)
_out = Screen(soft_wrap=True)


@app.command()
def rebuild(run: Run = None) -> None:
    """Write optuna.log and the TensorBoard files again."""
    from analysis.record.lock import locked
    from analysis.views.projection import open_projections

    folder, experiment, trials = opened_run(run)
    with locked(folder.path):
        for projection in open_projections(folder, experiment):
            projection.close()
    _out.print(f"{folder.path}: optuna.log and tensorboard/ of {len(trials)} trials written again")


@app.command()
def replay(
    run: Run = None,
    proposals: Annotated[
        bool, typer.Option("--proposals", help="Repeat the sampler's proposals, too.")
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Make the decisions of a run again, and compare."""
    from search.provenance import compare_here
    from search.rerun.replay import replay_run
    from search.run_context import run_context

    folder, experiment, trials = opened_run(run)
    assert trials.start is not None
    changed = compare_here(experiment, trials.start, trials.start.surroundings, strict, ERR.print)
    with run_context(folder, ERR.print) if proposals else nullcontext() as code:
        replayed = replay_run(folder if code is None else code.folder, experiment, proposals)
    if as_json:
        print_json({**dataclasses.asdict(replayed), "changed": [d.model_dump() for d in changed]})
    elif replayed.difference is None:
        _out.print(f"{folder.path}: all {replayed.decisions} decisions are the same")
    else:
        _out.print(f"{folder.path}: {replayed.difference}")
    raise typer.Exit(0 if replayed.difference is None else 1)


@app.command()
def repair(run: Run = None) -> None:
    """Cut a journal off before its first damaged line.

    The original is kept beside it.
    """
    from analysis.record.chain import broken_text
    from analysis.record.folder import RunFolder
    from analysis.record.repair import repair_run

    folder = RunFolder(chosen_run(run))
    repaired = repair_run(folder)
    if repaired.changed is not None:
        _out.print(f"{folder.path}: all {repaired.kept} lines of the journal can be read, but")
        _out.print(f"{broken_text(repaired.changed)}; nothing was cut off")
        return
    if repaired.problem is None:
        _out.print(f"{folder.path}: all {repaired.kept} lines of the journal are valid")
        return
    _out.print(f"{folder.journal_file}: {repaired.problem}")
    _out.print(f"kept the {repaired.kept} lines before it; the original: {repaired.original}")
    _out.print(f"go on with: shoal resume {folder.path}")


@app.command()
def clean(
    run: Run = None,
    top: Annotated[int, typer.Option(min=1, help="Number of best trials to keep.")] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed. Remove nothing.")
    ] = False,
) -> None:
    """Remove checkpoints that nothing needs any more."""
    from analysis.record.lock import locked
    from analysis.record.reruns import Reruns
    from search.tools.clean import clean_checkpoints

    reruns = Reruns()
    folder, experiment, trials = opened_run(run, reruns.apply)
    with nullcontext() if dry_run else locked(folder.path):
        cleaned = clean_checkpoints(folder, experiment, trials, reruns, top, dry_run)
    removed, kept = ("would remove", "would keep") if dry_run else ("removed", "kept")
    _out.print(
        f"{folder.path}: {removed} {cleaned.megabytes:.1f} MB, the checkpoints of "
        f"{cleaned.removed} trainings; {kept} those of {cleaned.kept} (the best {top}, unfinished "
        "ones, the confirmed)"
    )


@app.command()
def doctor(
    spec: Annotated[
        str | None, typer.Argument(metavar="SPEC", help="Also check what this experiment needs.")
    ] = None,
    set_: Set = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Check that this machine or a cluster can run a search.

    It looks at versions, GPUs, nodes, folders, storage, code and data.
    """
    prepare_environment(address)
    from search.tools.doctor import examine

    findings = []
    for finding in examine(spec, set_ or [], address):
        findings.append(finding)
        if not as_json:
            _out.print(f"{finding.verdict:<8} {finding.what}: {finding.message}")
    if as_json:
        print_json(findings)
    raise typer.Exit(int(any(finding.verdict == "fault" for finding in findings)))
