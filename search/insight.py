"""The commands that look into trainings: probe, compare, predict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from search.options import Json, Run, Set, Spec, opened_run, print_json
from spaces.files import load_experiment
from spaces.problems import InputError

app = typer.Typer(rich_markup_mode=None)
_out = Console(highlight=False, markup=False, emoji=False)


def _check_name(path: Path | None) -> Path | None:
    if path is not None and path.suffix != ".png":
        raise InputError(f"the picture's name must end in .png, got {str(path)!r}", source="-o")
    return path


Picture = Annotated[
    Path | None, typer.Option("-o", help="Draw it into this PNG.", callback=_check_name)
]


@app.command()
def probe(
    spec: Spec,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="A choice of the space; left out: init and activation."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Medians over so many models of each kind.")
    ] = 10,
    set_: Set = None,
    output: Picture = None,
    as_json: Json = False,
) -> None:
    """Show how signal and gradient travel through untrained models of a space."""
    from analysis.plots import draw_panels
    from search.probe import SPREADS, panels, probe_space
    from search.terminal import print_probes

    experiment = load_experiment(spec, set_ or [])
    probed = probe_space(experiment, by or [], seeds)
    if output is not None:
        drawn = panels(probed)
        title = f"{experiment.name}: untrained, medians of {seeds} seeds"
        _draw(output, lambda: draw_panels(drawn, len(drawn) // len(SPREADS), title, output))
    if as_json:
        print_json([_finite(dataclasses.asdict(one)) for one in probed])
    else:
        print_probes(probed, seeds, _out)


@app.command()
def compare(
    by: Annotated[list[str], typer.Option("--by", help="A parameter of the space; repeatable.")],
    run: Run = None,
    output: Picture = None,
    as_json: Json = False,
) -> None:
    """Compare groups of a run's trials: their learning curves, and a table."""
    from analysis.comparison import compare_groups, curve_panels, group_trials
    from analysis.plots import draw_panels
    from search.terminal import print_comparison

    folder, experiment, trials = opened_run(run)
    groups = group_trials(list(trials), experiment.search_space.distributions, by)
    if output is not None:
        panels = curve_panels(groups, experiment.metric)
        title = (
            f"{experiment.name} by {', '.join(by)}: means, in bands from the lowest to the highest"
        )
        if any(line.dashed_from is not None for panel in panels for line in panel.lines):
            title += "\ndashed where only a part of the trials got so far"
        _draw(output, lambda: draw_panels(panels, min(2, len(panels)), title, output))
    rows = compare_groups(groups, experiment.metric)
    print_json(rows) if as_json else print_comparison(rows, experiment.metric, folder.path, _out)


@app.command(name="predict")
def predict_images(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of pictures.")],
    output: Picture = None,
    as_json: Json = False,
) -> None:
    """Ask a bundle's model what is in pictures."""
    from analysis.plots import draw_answers
    from search.terminal import print_predictions
    from search.trained import predict

    predictions = predict(bundle, images)
    if output is not None:
        pixels = [one.pixels for one in predictions]
        titles = [f"{Path(one.image).name}: {one.label}" for one in predictions]
        classes = [one.probabilities for one in predictions]
        _draw(output, lambda: draw_answers(pixels, titles, classes, output))
    if as_json:
        kept = ("image", "label", "probabilities", "note")
        print_json([_finite({name: getattr(one, name) for name in kept}) for one in predictions])
    else:
        print_predictions(predictions, _out)


def _draw(path: Path, draw: Callable[[], None]) -> None:
    try:
        draw()
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}", source="-o") from None


def _finite(value: Any) -> Any:
    """Plain data whose numbers that JSON has no word for are null."""
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
