"""The command line, ``shoal``. Heavy imports stand inside the commands that need them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import optuna
import typer

from search.cli import confirm, inspect, maintenance, plan, predict, prepare, report
from search.cli.console import ERR, Screen, outlive_readers, prints_aside
from search.cli.encoding import accept_every_sign
from search.cli.groups import Grouped
from search.cli.options import (
    Address,
    Code,
    EngineOption,
    Json,
    KeepGoing,
    Output,
    Run,
    Set,
    Spec,
    Strict,
    Top,
    Verbose,
    chosen_run,
    opened_run,
    print_json,
    print_note,
)
from search.transport.environment import prepare_environment
from spaces.files import load_experiment
from spaces.problems import InputError, RunError

if TYPE_CHECKING:
    from analysis.record.folder import RunFolder
    from search.control.coordinator import Coordinator
    from search.session import Host

app = typer.Typer(
    cls=Grouped,
    help="Distributed hyperparameter search with Ray Tune, Optuna and ASHA.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(confirm.app)
app.add_typer(prepare.app)
app.add_typer(plan.app)
app.add_typer(inspect.app)
app.add_typer(predict.app)
app.add_typer(report.app)
app.add_typer(maintenance.app)
_out = Screen()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: left out, those of the process.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 a mistake of the user, 130 interrupted.
    """
    accept_every_sign()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if arguments is None:
        outlive_readers()
    warnings.showwarning = _show_warning
    try:
        app(args=arguments)
    except (InputError, RunError) as error:
        ERR.print(f"error: {error}")
        return 2 if isinstance(error, InputError) else 1
    except OSError as error:  # a disk is full, a folder may not be written
        ERR.print(f"error: {error.filename or 'a file'}: {error.strerror or error}")
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:  # before there was anything to stop in good order
        ERR.print("interrupted")
        return 130
    return 0


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning of ours; what libraries say of their own future concerns nobody here."""
    if not issubclass(category, DeprecationWarning | FutureWarning):
        ERR.print(f"warning: {message}")


@app.command()
def search(
    spec: Spec,
    run: Annotated[Path | None, typer.Option(help="A new or empty folder for the run.")] = None,
    set_: Set = None,
    engine: EngineOption = None,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be searched. Start nothing.")
    ] = False,
    keep_going: KeepGoing = False,
    verbose: Verbose = False,
) -> None:
    """Search, and print the best configurations."""
    prepare_environment(address)
    named = [] if engine is None else [f"engine={engine}"]
    experiment = load_experiment(spec, [*(set_ or []), *named], print_note)
    if dry_run:
        from search.cli.render import print_plan

        print_plan(experiment, _out)
        return
    from search.cli.host import terminal_host
    from search.folders import new_folder
    from search.lifecycle import start_search

    folder, host = new_folder(experiment, run), terminal_host(engine, address, verbose)
    _conclude(folder, start_search(experiment, folder, host, keep_going), host)


@app.command()
def resume(
    run: Run = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of additional trials.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=1e-9, help="Number of additional hours.")
    ] = None,
    code: Code = None,
    strict: Strict = False,
    keep_going: KeepGoing = False,
    engine: EngineOption = None,
    address: Address = None,
    verbose: Verbose = False,
) -> None:
    """Continue an interrupted run, or extend a finished one."""
    prepare_environment(address)
    from analysis.record.folder import RunFolder
    from search.cli.host import terminal_host
    from search.lifecycle import resume_search
    from search.rerun.confirm import is_left
    from search.run_context import Terms

    terms, host = Terms(code, strict, keep_going), terminal_host(engine, address, verbose)
    folder = RunFolder(chosen_run(run))
    if trials is None and hours is None and (settings := is_left(folder)) is not None:
        confirm.confirm_and_print(folder, settings, host, terms=terms)
        return
    _conclude(folder, resume_search(folder, trials or 0, hours or 0.0, host, terms), host)


def _conclude(folder: RunFolder, coordinator: Coordinator, host: Host) -> None:
    """Print what was found, and report it; confirm it, where the file asks for that."""
    from search.cli.render import print_next_steps, print_outcome
    from search.rerun.confirm import is_left

    code = print_outcome(folder.path, coordinator, _out)
    if code == 0 and (settings := is_left(folder)) is not None:
        try:
            confirm.confirm_and_print(folder, settings, host)  # and reports all of it
        finally:
            if not folder.report_file().exists():  # it did not come to its end
                report.report_at_end(folder, coordinator)
        raise typer.Exit(code)
    written = report.report_at_end(folder, coordinator)
    if code == 0:
        print_next_steps(folder.path, coordinator.experiment, _out, written)
    raise typer.Exit(code)


@app.command()
def status(run: Run = None, as_json: Json = False) -> None:
    """Show how a run stands."""
    from analysis.record.folder import status_of
    from analysis.record.lock import is_locked
    from analysis.verdict.confirmation import open_confirmed
    from search.cli.render import print_status

    folder, experiment, trials, reruns, confirmation = open_confirmed(chosen_run(run))
    found = status_of(folder, experiment, trials, live=is_locked(folder.path))
    if as_json:
        plain = None if confirmation is None else confirmation.plain()
        print_json({**found, "confirmation": plain})
        return
    print_status(found, experiment.metric, _out)
    if confirmation is not None:
        note = f" ({confirmation.note})" if confirmation.note else ""
        who = "" if confirmation.winner is None else f"trial {confirmation.winner.trial}: "
        _out.print(f"{who}{confirmation.sentence}{note}", soft_wrap=True)
    if reruns.trials.running and found["state"] != "running":
        count = len(reruns.trials.running)
        _out.print(f"{count} reruns are unfinished; shoal confirm or shoal audit continues them")


@app.command()
def best(run: Run = None, top: Top = None, as_json: Json = False) -> None:
    """Print the best configurations of a run."""
    from analysis.record.folder import best_of
    from analysis.verdict.confirmation import open_confirmed
    from analysis.verdict.rendering import trial_in
    from search.cli.render import print_best

    _, experiment, trials, _, found = open_confirmed(chosen_run(run))
    rows = best_of(trials, experiment.metric, top or 5)
    if as_json:
        print_json([{**row, "confirmed": found and trial_in(found, row["trial"])} for row in rows])
        return
    print_best(rows, trials, experiment.metric, found, _out)


@app.command()
def tensorboard(
    run: Run = None,
    top: Top = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every trial, and every rerun.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="The port, on this machine only.")
    ] = 6006,
) -> None:
    """Start TensorBoard on the best trials of a run, or on all."""
    from search.tools.tensorboard_server import TOP, serve_tensorboard

    if everything and top is not None:
        raise InputError("--top and --all cannot be used together", "--all")
    folder, _, trials = opened_run(run)
    most = None if everything else top or TOP
    if most is not None:
        _out.print(
            f"showing the best {most} of {len(trials)} trials, the baseline and running trials; "
            f"--all shows every trial",
            soft_wrap=True,
        )
    serve_tensorboard(folder, most, port)


@app.command()
def export(
    output: Annotated[Path, typer.Option("-o", help="A new or empty folder for the model.")],
    run: Run = None,
    trial: Annotated[
        int | None, typer.Option(min=0, help="Export this trial, with its own weights.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Export it even if it is worse than the baseline.")
    ] = False,
    strict: Strict = False,
) -> None:
    """Export the best model: weights, settings, scores."""
    from analysis.display.scale import scale_of
    from search.export.bundle import export_best
    from search.export.portable import can_make_onnx

    bundle = export_best(
        chosen_run(run), output, strict=strict, number=trial, anyway=anyway, note=ERR.print
    )
    name, value = bundle.metrics["metric"], bundle.metrics["value"]
    what = "weights" if bundle.has_weights else "settings and code, without weights,"
    of_one = "" if bundle.confirmation is None else ", from one of the trainings that measured it"
    score = f"{name} {scale_of(name, [value]).score(value)}{of_one}"
    _out.print(f"{output}: {what} with {score}", soft_wrap=True)
    if bundle.finding is not None:
        _out.print(bundle.finding, soft_wrap=True)
    _out.print(f"train it again: shoal train {output}", soft_wrap=True)
    if bundle.programs and not can_make_onnx():
        _out.print("for model.onnx, too: pip install 'shoal[onnx]'")


@app.command()
def train(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="An exported model, or an experiment file.")
    ],
    set_: Set = None,
    output: Output = None,
    final: Annotated[
        bool,
        typer.Option("--final", help="Train on training and validation data together."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train an exported model again, or the baseline of a file."""
    from search.cli.render import train_and_compare

    with prints_aside(as_json):
        found = train_and_compare(spec, set_ or [], output, None if as_json else _out, final)
    if as_json:
        print_json(found)


if __name__ == "__main__":
    sys.exit(main())
