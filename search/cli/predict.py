"""The command that asks an exported model: about images, a table or arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from analysis.display.numbers import percent
from search.cli.console import Screen
from search.cli.inspect import draw_into
from search.cli.options import Json, print_json, print_note, print_text
from spaces.problems import InputError, printable
from spaces.settings.data_files import is_table

if TYPE_CHECKING:
    from search.export.inference import Prediction
    from search.export.predictor import Answers

app = typer.Typer(rich_markup_mode=None)
_out = Screen()


@app.command()
def predict(
    bundle: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The folder of an exported model.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Images; or one CSV, Parquet or .npz file."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            help="Images: a PNG file to draw into. Else: a .csv, .parquet, .json or .npz file.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask an exported model about images, a table or arrays."""
    if not any(is_table(str(file)) or file.suffix.lower() == ".npz" for file in files):
        _predict_images(bundle, files, output, as_json)
    elif len(files) > 1:
        raise InputError(f"takes one table or .npz file at a time, got {len(files)} files")
    else:
        _predict_samples(bundle, files[0], output, as_json)


def _predict_images(
    bundle: Path, images: Sequence[Path], output: Path | None, as_json: bool
) -> None:
    from analysis.display.plots import draw_answers
    from search.export.inference import predict as ask

    if output is not None and output.suffix != ".png":
        raise InputError(f"the name must end in .png, got {str(output)!r}", source="-o")
    predictions = ask(bundle, images)
    if output is not None:
        pixels = [one.pixels for one in predictions]
        titles = [f"{Path(one.image).name}: {one.label}" for one in predictions]
        classes = [one.probabilities for one in predictions]
        draw_into(output, lambda: draw_answers(pixels, titles, classes, output))
    if as_json:
        kept = ("image", "label", "probabilities", "note")
        print_json([{name: getattr(one, name) for name in kept} for one in predictions])
    else:
        _print_predictions(predictions, _out)


def _print_predictions(predictions: Sequence[Prediction], out: Console) -> None:
    """For each picture its likeliest classes."""
    for one in predictions:
        note = f" ({one.note})" if one.note else ""
        out.print(f"{printable(one.image)}: {one.label}{note}", soft_wrap=True)
        likeliest = sorted(one.probabilities.items(), key=lambda held: -held[1])[:5]
        width = max(len(name) for name, _ in likeliest)
        for name, probability in likeliest:
            bar = "█" * round(30 * probability)
            out.print(
                f"  {printable(name):<{width}} {percent(probability, 2):>7} {bar}", soft_wrap=True
            )


def _predict_samples(bundle: Path, file: Path, output: Path | None, as_json: bool) -> None:
    """Write the answers into a file, or print them as CSV."""
    from analysis.views.table import WRITERS, csv_of, write_table
    from search.export.predictor import load_predictor

    is_archive = output is not None and output.suffix == ".npz"
    if output is not None and not is_archive and output.suffix not in WRITERS:
        names = ", ".join([*WRITERS, ".npz"])
        raise InputError(f"the name must end in {names}, got {str(output)!r}", source="-o")
    predictor = load_predictor(bundle)
    samples, ignored = predictor.read(file)
    try:
        answers = predictor.predict(samples)
    except InputError as error:
        raise InputError(error.problems, str(file)) from None
    notes = [f"not used: the columns {', '.join(ignored)}"] if ignored else []
    for note in (*notes, *answers.notes):
        print_note(printable(note))
    if output is not None and is_archive:
        _write_archive(output, answers)
    elif output is not None:
        write_table(answers.table(), output)
    if output is not None:
        _out.print(f"{output}: {len(answers.predictions)} predictions", soft_wrap=True)
    elif as_json:
        print_json(_rows(answers))
    else:
        print_text(csv_of(answers.table()).decode())


def _write_archive(path: Path, answers: Answers) -> None:
    import numpy as np

    try:
        np.savez(path, allow_pickle=False, **answers.arrays())
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}", source="-o") from None


def _rows(answers: Answers) -> list[dict[str, Any]]:
    """What ``--json`` prints: for each sample the class and the probabilities, or the value."""
    if answers.probabilities is None:
        values = answers.predictions
        return [{"prediction": row[0] if len(row) == 1 else row} for row in values.tolist()]
    both = zip(answers.predictions, answers.probabilities.tolist(), strict=True)
    return [
        {"prediction": label, "probabilities": dict(zip(answers.class_names, row, strict=True))}
        for label, row in both
    ]
