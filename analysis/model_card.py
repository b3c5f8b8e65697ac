"""The model card: what a bundle's README.md says of how it was found, and how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.confirmation import show_score, show_width, unit_of
from analysis.tables import show_value

if TYPE_CHECKING:
    from analysis.bundle import Bundle


def model_card(bundle: Bundle, numbers: int) -> str:
    """The card as Markdown.

    Args:
        bundle: what is written.
        numbers: how many its weights are.
    """
    metrics = bundle.metrics
    confirmed = bundle.confirmation
    value = "diverged" if metrics["value"] is None else f"{metrics['value']:.4f}"
    title = confirmed["sentence"] if confirmed else f"{metrics['metric']} {value}"
    shown = {name: score for name, score in metrics["metrics"].items() if "/" not in name}
    return "\n".join(
        [
            f"# {title}\n\n{bundle.origin}",
            _evidence(confirmed) if confirmed else "",
            "## These weights\n",
            f"| metric at epoch {metrics['epoch']} | value |\n|---|---|",
            *(f"| {name} | {show_value(score)} |" for name, score in shown.items()),
            *_data(bundle),
            "\n## Files\n\n| file | what it holds |\n|---|---|",
            *_files(bundle, numbers),
            _AGAIN,
            "" if "trainable" in bundle.config else _LOAD,
            _PROGRAMS if bundle.programs else "",
            *(_PROGRAM[name] for name in bundle.programs),
            _PREDICT if len((bundle.inputs or {}).get("shape", ())) == 3 else "",
        ]
    )


def _evidence(confirmed: Mapping[str, Any]) -> str:
    """The figures of the configuration under several seeds, and every reading of the test split."""
    name = confirmed["metric"]
    rows = [("this configuration", confirmed["winner"]), ("the baseline", confirmed["baseline"])]
    table = [
        f"| {what} | {len(held['scores'])} | {show_score(name, held['mean'])} "
        f"| {show_score(name, held['low'])} to {show_score(name, held['high'])} "
        f"| {held['lost'] or ''} |"
        for what, held in rows
        if held is not None and held["mean"] is not None
    ]
    gain = confirmed["gain"]
    gained = (
        ""
        if gain is None
        else (
            f"Better than the baseline by {show_width(name, gain['mean'])}{unit_of(name)} "
            f"(95 %: {show_width(name, gain['low'])} to {show_width(name, gain['high'])}).\n"
        )
    )
    readings = [
        f"| {test['metric']} of {_whose(test['trial'], confirmed)} | {_scores(test)} |"
        for test in confirmed["tests"]
    ]
    tests = ["\n| test split, read once | under each seed |\n|---|---|", *readings]
    return "\n".join(
        [
            "\n## How good it is\n",
            f"| {name}, validation | seeds | mean | 95 % interval | lost |\n|---|---|---|---|---|",
            *table,
            *(tests if readings else []),
            f"\n{gained}{_LIMITS}",
        ]
    )


def _whose(trial: int, confirmed: Mapping[str, Any]) -> str:
    roles = (("this configuration", confirmed["winner"]), ("the baseline", confirmed["baseline"]))
    named = (role for role, held in roles if held is not None and held["trial"] == trial)
    return next(named, f"trial {trial}, which had won before")


def _scores(test: Mapping[str, Any]) -> str:
    held = ("lost" if s is None else show_score(test["metric"], s) for s in test["scores"])
    return ", ".join(held)


def _data(bundle: Bundle) -> list[str]:
    """What it was trained on, what it takes, what it answers."""
    lines = []
    if bundle.inputs is not None:
        inputs = bundle.inputs
        shape = " x ".join(map(str, inputs["shape"]))
        mean, std = (", ".join(f"{v:.6g}" for v in inputs[key]) for key in ("mean", "std"))
        lines.append(
            f"Inputs of shape {shape} in [0, 1], then (x - mean) / std: mean {mean}, std {std}."
        )
        if inputs["class_names"]:
            lines.append(f"Classes: {', '.join(inputs['class_names'])}.")
    for part, held in (bundle.split or {}).items():
        lines.append(f"{part}: {held['samples']:,} samples, SHA-256 `{held['sha256']}`.")
    return ["\n## Data\n", *(f"- {line}" for line in lines)] if lines else []


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
    if bundle.split is not None:
        files.append("| `split.json` | the fingerprints of the training and validation split |")
    files += [
        f"| `{name}` | the same model as a program that needs {_NEEDS[name]} only |"
        for name in bundle.programs
    ]
    if "trainable" in bundle.config:
        files.append(f"| `{Path(bundle.config['trainable']).name.split(':')[0]}` | the code |")
    return files


_LIMITS = """
The seeds that measured it took no part in choosing it, so its mean is not too good. The intervals
are over seeds, on this one validation split, which the search has seen; the test split it has not.
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

    from search.trained import load_model
    model, config = load_model("path/to/this/folder")   # a torch.nn.Module in evaluation mode
"""
