"""The bundle: what the user takes home, a folder that retrains with one command."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from analysis.tables import show_value
from spaces.code import absolute_reference
from spaces.problems import InputError
from spaces.text import dump_yaml, read_mapping, read_text


@dataclass(frozen=True)
class Bundle:
    """A trained configuration.

    ``config``: all that training needs, as plain data; a ``trainable`` in it names the user's code,
    which is copied along. ``metrics``: ``metric``, ``value``,
    ``epoch`` and every metric of that epoch. ``versions``: by package. ``origin``: how it was
    found, in a sentence. ``inputs``: what a built-in model takes and gives, with its class names.
    ``programs``: the model as ``model.pt2`` and ``model.onnx``, by file name.
    """

    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    origin: str
    inputs: dict[str, Any] | None = None
    programs: Mapping[str, bytes] = field(default_factory=dict)


def write_bundle(folder: Path, bundle: Bundle, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a bundle into a new or empty folder.

    Raises:
        InputError: when the folder holds something already, or the user's code is gone.
    """
    check_target(folder)
    config = dict(bundle.config)
    code, _, function = config.get("trainable", "").rpartition(":")
    if code and not (code.endswith(".py") and os.path.isfile(code)):
        raise InputError(f"there is no file {code}", source="trainable")
    folder.mkdir(parents=True, exist_ok=True)
    if code:
        shutil.copy(code, folder)
        config["trainable"] = f"{Path(code).name}:{function}"
    (folder / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    (folder / "metrics.json").write_text(json.dumps(bundle.metrics, indent=2) + "\n")
    if bundle.inputs is not None:
        (folder / "inputs.json").write_text(json.dumps(bundle.inputs, indent=2) + "\n")
    for name, program in bundle.programs.items():
        (folder / name).write_bytes(program)
    lines = [f"{name}=={version}\n" for name, version in bundle.versions.items()]
    (folder / "versions.txt").write_text("".join(lines))
    (folder / "README.md").write_text(_readme(bundle, tensors), encoding="utf-8")


def check_target(folder: Path) -> None:
    """See that a bundle can be written into a folder.

    Raises:
        InputError: when it holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder", source="-o")


def read_bundle(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration and the metrics of a bundle, as plain data.

    Raises:
        InputError: when a file is missing or damaged.
    """
    config = read_mapping(bundle_file(folder, "config.yaml"))
    if isinstance(config.get("trainable"), str):
        config["trainable"] = absolute_reference(config["trainable"], folder)
    file = bundle_file(folder, "metrics.json")
    metrics = _read_json(file)
    if not isinstance(metrics, dict) or not _is_number(metrics.get("value")):
        raise InputError(
            "must hold metric, value and epoch; value is a finite number", source=str(file)
        )
    return config, metrics


def read_inputs(folder: Path) -> Any:
    """What the model of a bundle takes and gives, unchecked.

    Raises:
        InputError: when the file is missing (older bundles have none) or damaged.
    """
    return _read_json(bundle_file(folder, "inputs.json"))


def _read_json(file: Path) -> Any:
    try:
        return json.loads(read_text(file))
    except InputError as error:
        raise InputError(error.problems, source=str(file)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON: {error}", source=str(file)) from None


def bundle_file(folder: Path, name: str) -> Path:
    """A file of a bundle.

    Raises:
        InputError: when there is none of that name; opening a pipe, say, would never end.
    """
    if not os.path.isdir(folder):
        raise InputError("is no bundle: there is no such folder", source=str(folder))
    file = folder / name
    if not os.path.isfile(file):  # Path.is_file fails for a name that is too long
        raise InputError("there is no such file", source=str(file))
    return file


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, float | int) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def _readme(bundle: Bundle, weights: Mapping[str, torch.Tensor]) -> str:
    metrics = bundle.metrics
    shown_value = "diverged" if metrics["value"] is None else f"{metrics['value']:.4f}"
    shown = {name: value for name, value in metrics["metrics"].items() if "/" not in name}
    scores = [f"| {name} | {show_value(value)} |" for name, value in shown.items()]
    numbers = f"{sum(tensor.numel() for tensor in weights.values()):,}"
    files = [
        "| `config.yaml` | all settings of the training, its seed and thread count too |",
        f"| `model.safetensors` | the weights that scored this ({numbers} numbers, buffers too) |",
        "| `metrics.json` | the scores above |",
        "| `versions.txt` | the packages that it was trained with |",
    ]
    if bundle.inputs is not None:
        files.append("| `inputs.json` | what the model takes: size, normalisation; its classes |")
    files += [
        f"| `{name}` | the same model as a program that needs {_NEEDS[name]} only |"
        for name in bundle.programs
    ]
    is_own_code = "trainable" in bundle.config
    if is_own_code:
        files.append(f"| `{Path(bundle.config['trainable']).name.split(':')[0]}` | the code |")
    return "\n".join(
        [
            f"# {metrics['metric']} {shown_value}\n\n{bundle.origin}\n",
            f"| metric at epoch {metrics['epoch']} | value |\n|---|---|",
            *scores,
            "\n| file | what it holds |\n|---|---|",
            *files,
            _AGAIN,
            "" if is_own_code else _LOAD,
            _PROGRAMS if bundle.programs else "",
            *(_PROGRAM[name] for name in bundle.programs),
            _PREDICT if len((bundle.inputs or {}).get("shape", ())) == 3 else "",
        ]
    )


_AGAIN = """
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
