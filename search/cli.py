"""The command line, ``shoal``. Heavy imports stand inside the commands that need them."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer
from rich.console import Console

from spaces.files import load_experiment, studies
from spaces.problems import InputError

RUNS = Path("runs")

app = typer.Typer(
    help="Distributed hyperparameter search: Ray Tune, Optuna and ASHA on an append-only journal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_out = Console(highlight=False)

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
Top = Annotated[int | None, typer.Option(min=1, help="So many of the best.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: left out, those of the process.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 a mistake of the user, 130 interrupted.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.showwarning = _show_warning
    try:
        app(args=arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


@app.command()
def search(
    spec: Spec,
    run: Annotated[Path | None, typer.Option(help="A new folder for the run.")] = None,
    set_: Set = None,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option(help="Show what would be searched; start nothing.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Search, and print the best configurations."""
    experiment = load_experiment(spec, set_ or [])
    if dry_run:
        from search.terminal import print_plan

        print_plan(experiment, _out)
        return
    from search.session import new_folder, start_search

    folder = new_folder(experiment, run)
    _conclude(folder.path, start_search(experiment, folder, address, verbose))


@app.command()
def resume(
    run: Run = None,
    trials: Annotated[int | None, typer.Option(min=1, help="So many more trials.")] = None,
    hours: Annotated[float | None, typer.Option(min=1e-9, help="So many more hours.")] = None,
    address: Address = None,
    verbose: Verbose = False,
) -> None:
    """Go on with a run that was interrupted, or extend a finished one."""
    from search.session import resume_search

    folder, _, _ = _open(run)
    _conclude(folder.path, resume_search(folder, trials or 0, hours or 0.0, address, verbose))


def _conclude(path: Path, coordinator: Any) -> None:
    from search.terminal import print_outcome

    raise typer.Exit(print_outcome(path, coordinator, _out))


@app.command()
def status(run: Run = None, as_json: Json = False) -> None:
    """Say how a run stands."""
    from analysis.lock import is_locked
    from analysis.run import status_of
    from search.terminal import print_status

    folder, experiment, trials = _open(run)
    found = status_of(folder, experiment, trials, live=is_locked(folder.path))
    _print_json(found) if as_json else print_status(found, _out)


@app.command()
def best(run: Run = None, top: Top = None, as_json: Json = False) -> None:
    """Print the best configurations of a run."""
    from analysis.run import best_of
    from analysis.tables import best_table

    _, experiment, trials = _open(run)
    rows = best_of(trials, experiment.metric, top or 5)
    _print_json(rows) if as_json else _out.print(best_table(rows))


@app.command()
def tensorboard(
    run: Run = None,
    top: Top = None,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where it listens, on this machine only.")
    ] = 6006,
) -> None:
    """Start TensorBoard on a run."""
    from search.terminal import serve_tensorboard

    folder, experiment, trials = _open(run)
    serve_tensorboard(folder, experiment, trials, top, port)


@app.command()
def export(
    output: Annotated[Path, typer.Option("-o", help="A new or empty folder for the bundle.")],
    run: Run = None,
) -> None:
    """Write the best configuration, with its weights, as a bundle."""
    from search.take_home import export_best

    folder, _, _ = _open(run)
    bundle = export_best(folder.path, output)
    _out.print(f"{output}: {bundle.metrics['metric']} {bundle.metrics['value']:.4f}")
    _out.print(f"train it again: shoal train {output}", soft_wrap=True)


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(help="A bundle, its config.yaml, or an experiment file.")],
    set_: Set = None,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Train one configuration in this process: a file's baseline, or a bundle once more."""
    from search.terminal import train_and_compare

    found = train_and_compare(spec, set_ or [], output, None if as_json else _out)
    if as_json:
        _print_json(found)


@app.command(name="studies")
def list_studies(as_json: Json = False) -> None:
    """List the ready-made studies."""
    from analysis.tables import rows_table

    found = [(name, load_experiment(name).question or "") for name in studies()]
    if as_json:
        _print_json([{"name": name, "question": question} for name, question in found])
    else:
        _out.print(rows_table(("study", "question"), found))


@app.command()
def show(
    spec: Spec,
    set_: Set = None,
    as_json: Json = False,
    images: Annotated[Path | None, typer.Option(help="Draw training images into a PNG.")] = None,
) -> None:
    """Show what a file says: the network, the space, the budget."""
    from search.describe import describe_experiment, draw_training_images
    from search.terminal import print_description

    experiment = load_experiment(spec, set_ or [])
    found = describe_experiment(experiment)
    if images is not None:
        count = draw_training_images(experiment, images)
        print(f"{images}: {count} training images", file=sys.stderr)
    _print_json(found) if as_json else print_description(found, _out)


def _open(run: Path | None) -> Any:
    from analysis.run import newest_run, open_run

    return open_run(newest_run(RUNS) if run is None else run)


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


if __name__ == "__main__":
    sys.exit(main())
