"""The model card: what a bundle's README.md says of how it was found, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from analysis.bundle.bundle import Bundle
from analysis.bundle.inputs import column_section, input_lines, program_inputs, usage
from analysis.bundle.project_files import Taken
from analysis.display.numbers import DIGITS, number
from analysis.display.tables import markdown_table, markdown_text, show_value
from analysis.verdict.confirmation import Confirmation
from analysis.verdict.rendering import READING_COLUMNS, rendering_of
from spaces.problems import printable

_MOST_LISTED = 50


def model_card(bundle: Bundle, numbers: int, taken: Taken | None = None) -> str:
    """The card as Markdown.

    Args:
        bundle: what is written.
        numbers: how many its weights are.
        taken: what is copied along of the user's own code.
    """
    metrics = bundle.metrics
    confirmed = bundle.confirmation
    value = "diverged" if metrics["value"] is None else number(metrics["value"])
    if bundle.config.get("final"):
        value += " (there is no validation score)"
    title = markdown_text(confirmed.sentence if confirmed else f"{metrics['metric']} {value}")
    shown = {name: score for name, score in metrics["metrics"].items() if "/" not in name}
    return "\n".join(
        [
            f"# {title}\n\n{bundle.origin}",
            _parameters(bundle),
            _evidence(confirmed, "trainable" in bundle.config) if confirmed else "",
            "## These weights\n" if bundle.has_weights else "## Scores\n",
            _ONE_OF_MANY[bundle.has_weights] if confirmed else "",
            markdown_table(
                [f"metric at epoch {metrics['epoch']}", "value"],
                [(name, show_value(score, DIGITS)) for name, score in shown.items()],
            ),
            *_data(bundle),
            *column_section(bundle.inputs),
            *_changes(bundle.changes),
            "\n## Files\n\n| file | what it holds |\n|---|---|",
            *_files(bundle, numbers),
            *_code(taken),
            _AGAIN,
            "" if bundle.has_weights else f"There are no weights: {bundle.why_no_weights}.",
            _LOAD if taken is None else _load_own(bundle),
            "" if bundle.inputs is None else usage(bundle.inputs),
            program_inputs(bundle.inputs) if bundle.inputs and bundle.programs else "",
            *(_PROGRAM[name] for name in bundle.programs),
        ]
    )


def _parameters(bundle: Bundle) -> str:
    """What was searched, beside the baseline's."""
    if not bundle.params:
        return ""
    held = [bundle.params] if bundle.baseline is None else [bundle.params, bundle.baseline]
    names = dict.fromkeys(name for params in held for name in params)
    columns = ["parameter", "this configuration", "the baseline"][: 1 + len(held)]
    texts = [{name: show_value(value) for name, value in params.items()} for params in held]
    rows = [[name, *(params.get(name, "") for params in texts)] for name in names]
    return f"\n{markdown_table(columns, rows)}"


def _evidence(confirmed: Confirmation, is_own_code: bool) -> str:
    """The figures of each configuration under several seeds, and the readings of the test split."""
    shown = rendering_of(confirmed)
    readings = markdown_table(READING_COLUMNS, shown.readings)
    return "\n".join(
        [
            "\n## The evidence\n",
            markdown_table(shown.columns, [*shown.measured, *shown.candidates]),
            f"\n{readings}" if shown.readings else "\nThere is no reading of a test split.",
            *(f"\n{markdown_text(sentence)}" for sentence in (*shown.gains, *shown.notes)),
            f"\n{shown.explanation}{'' if is_own_code else _LIMITS}\n",
        ]
    )


def _data(bundle: Bundle) -> list[str]:
    """What it was trained on, what it takes, what it answers."""
    lines = [] if bundle.inputs is None else input_lines(bundle.inputs)
    for part, held in (bundle.split or {}).items():
        lines.append(f"{part}: {held['samples']:,} samples, SHA-256 `{held['sha256']}`.")
    return ["\n## Data\n", *(f"- {line}" for line in lines)] if lines else []


def _changes(changes: Mapping[str, Any] | None) -> list[str]:
    """What the run depends on that was not the same all the time, or is not any more."""
    if changes is None:
        return []
    lines = ["\n## What has changed\n"]
    if len({json.dumps(world["split"], sort_keys=True) for world in changes["trained_with"]}) > 1:
        lines.append("**These weights were trained on different data in turn.**\n")
    for change in changes["while_the_run_went_on"]:
        when = datetime.fromtimestamp(change["time"], UTC)
        what = "; ".join(map(_difference, change["differences"])) or "all as when the run began"
        lines.append(f"- {when:%Y-%m-%d %H:%M} UTC, from then on: {what}")
    lines += [f"- since the training: {_difference(d)}" for d in changes["since_it_was_trained"]]
    return lines


def _difference(held: Mapping[str, str]) -> str:
    return markdown_text(f"{held['what']} was {held['was']}, then {held['now']}")


def _files(bundle: Bundle, numbers: int) -> list[str]:
    files = [
        "| `config.yaml` | all settings of the training, its seed and thread count too |",
        f"| `model.safetensors` | the weights of these scores ({numbers:,} numbers, buffers too) |",
        "| `metrics.json` | the scores |",
        "| `versions.txt` | the packages that it was trained with |",
    ]
    if not bundle.has_weights:
        del files[1]
    if bundle.confirmation is not None:
        files.append("| `confirmation.json` | every figure of the confirmation |")
    if bundle.inputs is not None:
        files.append("| `inputs.json` | what the model takes: shape, preparation; its classes |")
    if bundle.changes is not None:
        files.append("| `changes.json` | what the run depends on that has changed |")
    if bundle.split is not None:
        files.append("| `split.json` | the fingerprints of the training and validation split |")
    files += [
        f"| `{name}` | the same model as a program that needs {_NEEDS[name]} only |"
        for name in bundle.programs
    ]
    if "trainable" in bundle.config:
        files.append("| `code/` | your code, and the files that it read from its project |")
        files.append("| `code.json` | which these are, and which were left out |")
    return files


def _code(taken: Taken | None) -> list[str]:
    """What is there of the user's own code, and what its training needs beside it."""
    if taken is None:
        return []
    lines = ["\n## Code\n", f"`{taken.reference}`, with:\n"]
    lines += _listed([f"`code/{_plain(name)}`" for name in taken.files])
    if taken.left_out:
        lines.append("\nNot in this bundle, though the code used it:\n")
        lines += _listed([f"`{_plain(n)}`: {reason}" for n, reason in taken.left_out.items()])
        lines.append("\nTo train it again, put these into `code/`, or go to the folder with them.")
    else:
        lines.append("\nIt runs in `code/`, where it finds these.")
    lines.append("Files that child processes read are not known; nor packages, see `versions.txt`.")
    return lines


def _listed(entries: list[str]) -> list[str]:
    lines = [f"- {entry}" for entry in entries[:_MOST_LISTED]]
    rest = len(entries) - _MOST_LISTED
    return [*lines, f"- and {rest} more, see `code.json`"] if rest > 0 else lines


def _plain(name: str) -> str:
    """A file's name, which may be anything, as it may stand in Markdown."""
    return printable(name).replace("\n", "\\n").replace("`", "'")


def _load_own(bundle: Bundle) -> str:
    """How the weights get into the user's own model, where there are any."""
    if not bundle.has_weights:
        return ""
    parts = {name: count for name, count in bundle.parts.items() if name}
    lines = [
        "\nLoad the weights into your own model:\n",
        "    from safetensors.torch import load_file",
    ]
    lines.append('    tensors = load_file("model.safetensors")')
    if not parts:
        lines.append("    model.load_state_dict(tensors)   # of the class in your code")
        return "\n".join(lines)
    first = max(parts, key=lambda name: ("optim" not in name.lower(), "model" in name.lower()))
    lines += [
        f"    part = {f'{first}.'!r}   # your code saved {_plain(', '.join(parts))}: this part",
        "    weights = {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}",
        "    model.load_state_dict(weights)   # a model of the class in your code",
    ]
    return "\n".join(lines)


_OF_ONE = "those of one of the trainings that measured this configuration; a mean of all of them"
_ONE_OF_MANY = {
    True: f"They are {_OF_ONE} stands above.\n",
    False: f"These are {_OF_ONE} stands above.\n",
}
_LIMITS = " The search has seen the validation split; it has not seen the test split."
_AGAIN = """
## Use it

Train it again, and compare (on the same machine's CPU the scores are equal to the last digit):

    shoal train .
"""
_NEEDS = {"model.pt2": "PyTorch", "model.onnx": "an ONNX runtime"}
_PROGRAM = {
    "model.pt2": """
    import torch
    program = torch.export.load("model.pt2").module()
    probabilities = program(inputs)   # tensors
""",
    "model.onnx": """
    import onnxruntime
    program = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
    (probabilities,) = program.run(None, {"inputs": inputs})   # NumPy arrays
""",
}
_LOAD = """
Load it in Python:

    from search.export.inference import load_model
    model, config = load_model("path/to/this/folder")   # a torch.nn.Module in evaluation mode
"""
