"""The bundle: what the user takes home, a folder that retrains with one command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from analysis.tables import show_value
from spaces.code import absolute_reference
from spaces.files import dump_yaml, read_mapping
from spaces.problems import InputError


@dataclass(frozen=True)
class Bundle:
    """A trained configuration.

    ``config``: all that training needs, as plain data; a ``trainable`` in it names the user's code,
    which is copied along. ``metrics``: ``metric``, ``value``,
    ``epoch`` and every metric of that epoch. ``versions``: by package. ``origin``: how it was
    found, in a sentence.
    """

    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    origin: str


def write_bundle(folder: Path, bundle: Bundle, weights: Mapping[str, torch.Tensor]) -> None:
    """Write a bundle into a new or empty folder.

    Raises:
        InputError: when the folder holds something already.
    """
    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = dict(bundle.config)
    if "trainable" in config:
        code, _, function = config["trainable"].rpartition(":")
        shutil.copy(code, folder)
        config["trainable"] = f"{Path(code).name}:{function}"
    (folder / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    (folder / "metrics.json").write_text(json.dumps(bundle.metrics, indent=2) + "\n")
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
    config = read_mapping(folder / "config.yaml")
    if isinstance(config.get("trainable"), str):
        config["trainable"] = absolute_reference(config["trainable"], folder)
    file = folder / "metrics.json"
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", source=str(file)) from None
    except (OSError, ValueError) as error:
        raise InputError(f"is no JSON: {error}", source=str(file)) from None
    if not isinstance(metrics, dict) or not isinstance(metrics.get("value"), float | int):
        raise InputError("must hold metric, value and epoch", source=str(file))
    return config, metrics


def _readme(bundle: Bundle, weights: Mapping[str, torch.Tensor]) -> str:
    metrics = bundle.metrics
    scores = [f"| {name} | {show_value(value)} |" for name, value in metrics["metrics"].items()]
    numbers = f"{sum(tensor.numel() for tensor in weights.values()):,}"
    files = [
        "| `config.yaml` | all settings of the training, its seed and thread count too |",
        f"| `model.safetensors` | the weights that scored this ({numbers} numbers, buffers too) |",
        "| `metrics.json` | the scores above |",
        "| `versions.txt` | the packages that it was trained with |",
    ]
    is_own_code = "trainable" in bundle.config
    if is_own_code:
        files.append(f"| `{Path(bundle.config['trainable']).name.split(':')[0]}` | the code |")
    return "\n".join(
        [
            f"# {metrics['metric']} {metrics['value']:.4f}\n\n{bundle.origin}\n",
            f"| metric at epoch {metrics['epoch']} | value |\n|---|---|",
            *scores,
            "\n| file | what it holds |\n|---|---|",
            *files,
            _AGAIN if is_own_code else _AGAIN + _LOAD,
        ]
    )


_AGAIN = """
Train it again, and compare (on the same machine's CPU the scores are equal to the last digit):

    shoal train .
"""
_LOAD = """
Load it in Python:

    from search.take_home import load_model
    model, config = load_model("path/to/this/folder")   # a torch.nn.Module in evaluation mode
"""
