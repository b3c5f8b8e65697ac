"""The bundle: an exported configuration, a folder that retrains with one command."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.bundle.project_files import running_folder
from analysis.verdict.confirmation import Confirmation
from spaces.code import absolute_reference
from spaces.problems import InputError
from spaces.text import MOST_BYTES, read_mapping, read_text

MOST_INPUTS_BYTES = 40_000_000  # a table may have many columns


@dataclass(frozen=True)
class Bundle:
    """A trained configuration.

    ``config``: all that training needs, as plain data; a ``trainable`` in it names the user's code,
    of which ``code`` notes what it took of its project, to be copied along; ``parts`` names the
    parts of the state that it saved. ``metrics``: ``metric``, ``value``, ``epoch`` and every metric
    of that epoch. ``versions``: by package. ``origin``: how it was
    found, in a sentence. ``inputs``: what a built-in model takes and gives, with its class names.
    ``programs``: the model as ``model.pt2`` and ``model.onnx``, by file name. ``split``: by which
    data it was trained: samples and SHA-256 of either split. ``params``: what the search chose,
    beside those of the ``baseline``, if there was one. ``finding``: the sentence of a confirmation.
    ``confirmation``: all of it, where the weights are from it. ``changes``: of what the run
    depends on, while it went on and since.
    """

    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    origin: str
    inputs: dict[str, Any] | None = None
    programs: Mapping[str, bytes] = field(default_factory=dict)
    split: dict[str, Any] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] | None = None
    finding: str | None = None
    confirmation: Confirmation | None = None
    code: Any = None
    parts: Mapping[str, int] = field(default_factory=dict)
    changes: dict[str, Any] | None = None

    @property
    def has_weights(self) -> bool:
        """Whether there are any: the user's own code may have saved none."""
        return "trainable" not in self.config or bool(self.parts)

    @property
    def why_no_weights(self) -> str:
        """Why there are none, where the user's own code saved none."""
        return f"your code saved no tensors (context.save) at epoch {self.metrics['epoch']}"


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
    return _read_json(bundle_file(folder, "inputs.json"), MOST_INPUTS_BYTES)


def read_split(folder: Path) -> Any:
    """The fingerprints of a bundle's data, unchecked; None in bundles that have none.

    Raises:
        InputError: when the file is damaged.
    """
    return _read_json(folder / "split.json") if os.path.isfile(folder / "split.json") else None


def code_changes(folder: Path) -> list[str]:
    """How a bundle's code differs from that with which its weights were trained, in words.

    Raises:
        InputError: when the file is damaged.
    """
    file = folder / "changes.json"
    held = _read_json(file) if os.path.isfile(file) else {"since_it_was_trained": []}
    try:
        since = [(str(d["what"]), d["was"], d["now"]) for d in held["since_it_was_trained"]]
    except (TypeError, KeyError):
        raise InputError("must hold what has changed", source=str(file)) from None
    return [f"{what} was {was}, now {now}" for what, was, now in since if what.startswith("code ")]


def folder_of_code(folder: Path) -> Path | None:
    """Where the code of a bundle finds the files that it opens; None: in the current folder.

    Raises:
        InputError: when a file is damaged.
    """
    file = folder / "code.json"
    held = _read_json(file) if os.path.isfile(file) else {}
    left_out = held.get("left_out", {}) if isinstance(held, dict) else None
    if not isinstance(left_out, dict):
        raise InputError("must hold which files were left out, with reasons", source=str(file))
    return running_folder(folder, left_out)


def read_expected(folder: Path) -> tuple[float, float] | None:
    """Between which scores a further training is expected; None where it was not confirmed.

    Raises:
        InputError: when the file is damaged.
    """
    file = folder / "confirmation.json"
    if not os.path.isfile(file):
        return None
    held = _read_json(file)
    expected = held.get("expected") if isinstance(held, dict) else "none"
    if expected is None:
        return None
    if not isinstance(expected, list) or len(expected) != 2 or not all(map(_is_number, expected)):
        raise InputError("expected must hold two finite numbers", source=str(file))
    return float(expected[0]), float(expected[1])


def _read_json(file: Path, most_bytes: int = MOST_BYTES) -> Any:
    try:
        return json.loads(read_text(file, most_bytes=most_bytes))
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
        if os.path.isfile(folder / "journal.jsonl"):
            export = shlex.join(["shoal", "export", str(folder), "-o", "bundle"])
            raise InputError(f"is a run, no bundle; export it first: {export}", str(folder))
        raise InputError("there is no such file", source=str(file))
    return file


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, float | int) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max
