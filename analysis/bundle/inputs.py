"""What a model card says of the inputs and the answers of a built-in model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.display.numbers import number
from analysis.display.tables import markdown_table, markdown_text

_MOST_NUMBERS = 12


def input_lines(inputs: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that is known of a model's inputs and answers."""
    lines = []
    if "table" in inputs:
        lines.append("Inputs: columns of a table, which are listed below.")
    else:
        shape = " x ".join(map(str, inputs["shape"]))
        pixels = " in [0, 1]" if len(inputs["shape"]) == 3 else ""
        lines.append(f"Inputs of shape {shape}{pixels}, then (x - mean) / std: {_scale(inputs)}.")
    if inputs["class_names"]:
        lines.append(f"Classes: {markdown_text(', '.join(inputs['class_names']))}.")
    if "target_scale" in inputs:
        lines.append(
            f"Answers are in the target's own units. It was trained on (y - mean) / std: "
            f"{_scale(inputs['target_scale'])}; its losses are mean squared errors of these."
        )
    return lines


def _scale(held: Mapping[str, Any]) -> str:
    if len(held["mean"]) > _MOST_NUMBERS:
        return "both stand in `inputs.json`"
    mean, std = (", ".join(number(value, 6) for value in held[key]) for key in ("mean", "std"))
    return f"mean {mean}, std {std}"


def column_section(inputs: Mapping[str, Any] | None) -> list[str]:
    """The columns of a table, in the order of the inputs that they become."""
    if inputs is None or "table" not in inputs:
        return []
    target, columns = inputs["table"]["target"], inputs["table"]["columns"]
    rows, first = [], 0
    for column in columns:
        last = first + _width(column) - 1
        places = str(first) if first == last else f"{first} to {last}"
        rows.append((places, column["name"], _meaning(column)))
        first = last + 1
    return [
        "\n## Columns\n",
        f"The model predicts {markdown_text(target)}. Its inputs, in this order:\n",
        markdown_table(["inputs", "column", "what they are"], rows),
    ]


def _width(column: Mapping[str, Any]) -> int:
    """How many inputs a column becomes."""
    return len(column.get("categories", [""])) + int(column["marks_missing"])


def _meaning(column: Mapping[str, Any]) -> str:
    if column["kind"] == "category":
        what = f"for each of {', '.join(column['categories'])}: 1 where it is that, else 0"
    elif column["kind"] == "boolean":
        what = "1 where it is true, else 0"
    else:
        what = f"the number; {number(column['mean'], 6)} where it is missing"
    return f"{what}; then 1 where it is missing, else 0" if column["marks_missing"] else what


def has_images(inputs: Mapping[str, Any]) -> bool:
    """Whether the model takes images."""
    return len(inputs["shape"]) == 3


def usage(inputs: Mapping[str, Any]) -> str:
    """How the model is asked by a command, and loaded with all that goes before and after it."""
    if "table" in inputs:
        return _ASK.format(file="samples.csv", what="a pandas frame with these columns")
    array = _ASK.format(file="samples.npz", what="an array, as x of the file")
    return f"{_PICTURE}{array}" if has_images(inputs) else array


def program_inputs(inputs: Mapping[str, Any]) -> str:
    """What an exported program takes, and what it answers."""
    if "table" in inputs:
        takes = "inputs of shape (batch, inputs) as float64, as the section Columns lists them"
    elif has_images(inputs):
        takes = "inputs in [0, 1] as float32 of shape (batch, channels, height, width)"
    else:
        takes = "inputs as float32 of shape (batch, features)"
    units = " in the target's own units" if "target_scale" in inputs else ""
    gives = "probabilities, in the order of the classes" if inputs["class_names"] else "values"
    return _PROGRAMS.format(takes=takes, gives=f"{gives}{units}")


_PICTURE = """
Ask it about pictures of your own:

    shoal predict . picture.png -o answer.png
"""
_ASK = """
Ask it about samples of your own, in a file or in Python:

    shoal predict . {file} -o answers.csv

    from search.export.predictor import load_predictor
    predictor = load_predictor("path/to/this/folder")
    answers = predictor.predict(samples).table()   # of {what}
"""
_PROGRAMS = """
Or without Shoal. A program takes {takes}, before any normalisation. It answers with {gives}:
"""
