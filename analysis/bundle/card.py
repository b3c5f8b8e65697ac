"""The model card: what a bundle's README.md says of how it was found, and how it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analysis.display.numbers import DIGITS, number
from analysis.display.scale import Scale, scale_of
from analysis.display.tables import markdown_text, show_value
from spaces.problems import printable

if TYPE_CHECKING:
    from analysis.bundle.bundle import Bundle
    from analysis.bundle.project_files import Taken

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
    title = markdown_text(confirmed["sentence"] if confirmed else f"{metrics['metric']} {value}")
    shown = {name: score for name, score in metrics["metrics"].items() if "/" not in name}
    return "\n".join(
        [
            f"# {title}\n\n{bundle.origin}",
            _parameters(bundle),
            _evidence(confirmed, "trainable" in bundle.config) if confirmed else "",
            "## These weights\n",
            _ONE_OF_MANY if confirmed else "",
            f"| metric at epoch {metrics['epoch']} | value |\n|---|---|",
            *(
                f"| {markdown_text(name)} | {show_value(score, DIGITS)} |"
                for name, score in shown.items()
            ),
            *_data(bundle),
            *_changes(bundle.changes),
            "\n## Files\n\n| file | what it holds |\n|---|---|",
            *_files(bundle, numbers),
            *_code(taken),
            _AGAIN,
            _LOAD if taken is None else _load_own(bundle),
            _PROGRAMS if bundle.programs else "",
            *(_PROGRAM[name] for name in bundle.programs),
            _PREDICT if len((bundle.inputs or {}).get("shape", ())) == 3 else "",
        ]
    )


def _parameters(bundle: Bundle) -> str:
    """What was searched, beside the baseline's."""
    if not bundle.params:
        return ""
    names = dict.fromkeys([*bundle.params, *(bundle.baseline or {})])
    if bundle.baseline is None:
        rows = [f"| {markdown_text(name)} | {_value(bundle.params, name)} |" for name in names]
        return "\n".join(["\n| parameter | this configuration |\n|---|---|", *rows])
    rows = [
        f"| {markdown_text(name)} | {_value(bundle.params, name)} "
        f"| {_value(bundle.baseline, name)} |"
        for name in names
    ]
    head = "\n| parameter | this configuration | the baseline |\n|---|---|---|"
    return "\n".join([head, *rows])


def _value(params: Mapping[str, Any], name: str) -> str:
    return markdown_text(show_value(params[name])) if name in params else ""


def _evidence(confirmed: Mapping[str, Any], is_own_code: bool) -> str:
    """The figures of the configuration under several seeds, and every reading of the test split."""
    name = confirmed["metric"]
    rows = [("this configuration", confirmed["winner"]), ("the baseline", confirmed["baseline"])]
    known = [(what, held) for what, held in rows if held is not None and held["mean"] is not None]
    scale = scale_of(name, (score for _, held in known for score in held["scores"]))
    table = [
        f"| {what} | {len(held['scores'])} | {scale.score(held['mean'])} "
        f"| {scale.span(held['low'], held['high'])} | {_failed(held)} |"
        for what, held in known
    ]
    readings = [
        f"| {markdown_text(test['metric'])} of {_whose(test['trial'], confirmed)} "
        f"| {_scores(test, scale)} |"
        for test in confirmed["tests"]
    ]
    tests = ["\n| test split, read once | under each seed |\n|---|---|", *readings]
    return "\n".join(
        [
            "\n## How good it is\n",
            f"| {markdown_text(name)}, validation | seeds | mean | 95 % interval | failed |",
            "|---|---|---|---|---|",
            *table,
            *(tests if readings else ["\nThere is no reading of a test split."]),
            f"\n{_gain(confirmed['gain'], 'validation', scale)}"
            f"{_gain(confirmed['gain_on_test'], 'test', scale)}"
            f"{_UNBIASED}{'' if is_own_code else _LIMITS}",
        ]
    )


def _failed(held: Mapping[str, Any]) -> str:
    """How many seeds came to nothing."""
    counts = {"lost": held["lost"], "collapsed": held["collapsed"]}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _gain(gain: Mapping[str, float] | None, split: str, scale: Scale) -> str:
    if gain is None:
        return ""
    word, sign = ("Better", 1) if gain["mean"] >= 0 else ("Worse", -1)
    low, high = sorted((sign * gain["low"], sign * gain["high"]))
    by = f"{scale.width(abs(gain['mean']))}{scale.unit}"
    span = f"95 %: {scale.width(low)} to {scale.width(high)}"
    return f"{word} than the baseline by {by} on {split} ({span}).\n"


def _whose(trial: int, confirmed: Mapping[str, Any]) -> str:
    roles = (("this configuration", confirmed["winner"]), ("the baseline", confirmed["baseline"]))
    named = (role for role, held in roles if held is not None and held["trial"] == trial)
    return next(named, f"trial {trial}, which had won before")


def _scores(test: Mapping[str, Any], scale: Scale) -> str:
    held = ("lost" if s is None else scale.score(s) for s in test["scores"])
    return ", ".join(held)


def _data(bundle: Bundle) -> list[str]:
    """What it was trained on, what it takes, what it answers."""
    lines = []
    if bundle.inputs is not None:
        inputs = bundle.inputs
        shape = " x ".join(map(str, inputs["shape"]))
        mean, std = (", ".join(number(v, 6) for v in inputs[key]) for key in ("mean", "std"))
        lines.append(
            f"Inputs of shape {shape} in [0, 1], then (x - mean) / std: mean {mean}, std {std}."
        )
        if inputs["class_names"]:
            lines.append(f"Classes: {markdown_text(', '.join(inputs['class_names']))}.")
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
        told = "; ".join(map(_difference, change["differences"])) or "all as when the run began"
        lines.append(f"- {when:%Y-%m-%d %H:%M} UTC, from then on: {told}")
    lines += [f"- since the training: {_difference(d)}" for d in changes["since_it_was_trained"]]
    return lines


def _difference(held: Mapping[str, str]) -> str:
    return markdown_text(f"{held['what']} was {held['was']}, then {held['now']}")


def _files(bundle: Bundle, numbers: int) -> list[str]:
    files = [
        "| `config.yaml` | all settings of the training, its seed and thread count too |",
        f"| `model.safetensors` | the weights of these scores ({numbers:,} numbers, buffers too) |",
        "| `metrics.json` | the scores of these weights |",
        "| `versions.txt` | the packages that it was trained with |",
    ]
    if bundle.confirmation is not None:
        files.append("| `confirmation.json` | every figure of the confirmation |")
    if bundle.inputs is not None:
        files.append("| `inputs.json` | what the model takes: size, normalisation; its classes |")
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
    """How the weights get into the user's own model."""
    parts = {name: count for name, count in bundle.parts.items() if name}
    lines = [
        "\nLoad the weights into your own model:\n",
        "    from safetensors.torch import load_file",
    ]
    lines.append('    tensors = load_file("model.safetensors")')
    if not bundle.parts:
        return "\nYour code saved no state at that epoch (`context.save`), so there are no weights."
    if not parts:
        lines.append(
            "    model.load_state_dict(tensors)   # of the class that your code made it of"
        )
        return "\n".join(lines)
    first = max(parts, key=lambda name: ("optim" not in name.lower(), "model" in name.lower()))
    lines += [
        f"    part = {f'{first}.'!r}   # your code saved {_plain(', '.join(parts))}: this part",
        "    weights = {n.removeprefix(part): t for n, t in tensors.items() if n.startswith(part)}",
        "    model.load_state_dict(weights)   # a model of the class that your code made it of",
    ]
    return "\n".join(lines)


_ONE_OF_MANY = """They are those of one of the trainings that measured this configuration; a mean
of all of them stands above.
"""
_UNBIASED = """
The seeds that measured it took no part in choosing it, so its mean is not too good. The intervals
are over seeds that did not collapse; they reach further on the side where seeds fall.
"""
_LIMITS = """They are of this one validation split, which the search has seen; the test split
it has not.
"""
_AGAIN = """
## Use it

Train it again, and compare (on the same machine's CPU the scores are equal to the last digit):

    shoal train .
"""
_PREDICT = """
Ask it about pictures of your own:

    shoal predict . picture.png -o answer.png
"""
_PROGRAMS = """
Or without Shoal. A program takes batches of inputs in [0, 1], before any normalisation, as float32
of shape (batch, channels, height, width), and answers with probabilities in the order of the
classes in `inputs.json` (a regression: takes (batch, features), answers with values):
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
