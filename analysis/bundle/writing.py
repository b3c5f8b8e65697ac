"""How a bundle is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from analysis.bundle.bundle import Bundle, check_target
from analysis.bundle.card import model_card
from analysis.bundle.project_files import Taken, take
from analysis.display.plain import json_text
from analysis.verdict.confirmation import Confirmation
from spaces.problems import InputError
from spaces.text import dump_yaml


def write_bundle(folder: Path, bundle: Bundle, weights: Mapping[str, torch.Tensor]) -> Taken | None:
    """Write a bundle into a new or empty folder.

    Returns:
        What was taken along of the user's own code.

    Raises:
        InputError: when the folder holds something already, the user's code is gone, or a tensor
            is sparse.
    """
    check_target(folder)
    if sparse := [name for name, held in weights.items() if held.layout is not torch.strided]:
        rule = "a bundle holds no sparse tensors; save its .to_dense()"
        raise InputError(f"{rule}; got {sparse[0]}", source="context.save")
    config = dict(bundle.config)
    taken = take(config["trainable"], bundle.code) if "trainable" in config else None
    folder.mkdir(parents=True, exist_ok=True)
    if taken is not None:
        taken.copy(folder)
        config["trainable"] = taken.reference
    (folder / "config.yaml").write_text(dump_yaml(config), encoding="utf-8")
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    if bundle.has_weights:
        (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    documents = {
        "metrics.json": bundle.metrics,
        "inputs.json": bundle.inputs,
        "split.json": bundle.split,
        "confirmation.json": _confirmation(bundle.confirmation),
        "code.json": None if taken is None else taken.plain(),
        "changes.json": bundle.changes,
    }
    for name, document in documents.items():
        if document is not None:
            (folder / name).write_text(f"{json_text(document)}\n", encoding="utf-8")
    for name, program in bundle.programs.items():
        (folder / name).write_bytes(program)
    lines = [f"{name}=={version}\n" for name, version in bundle.versions.items()]
    (folder / "versions.txt").write_text("".join(lines))
    numbers = sum(tensor.numel() for tensor in tensors.values())
    (folder / "README.md").write_text(model_card(bundle, numbers, taken), encoding="utf-8")
    return taken


def _confirmation(found: Confirmation | None) -> dict[str, Any] | None:
    """What a confirmation found, and between which scores a further training is expected."""
    if found is None or found.winner is None:
        return None
    estimate = found.winner.estimate
    return {**found.plain(), "expected": None if estimate is None else [*estimate.expected]}
