"""The weights that a trial or a rerun scored with, from its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from analysis.run import RunFolder
from analysis.trials import Trial
from spaces.experiment import Experiment
from spaces.problems import InputError
from trainables.checkpoints import Checkpoints
from trainables.config import AnyConfig, CodeConfig
from trainables.own_code import state_at


def weights_of(
    folder: RunFolder, experiment: Experiment, trial: Trial, config: AnyConfig, epoch: int
) -> Mapping[str, torch.Tensor]:
    """The weights that scored: those of exactly that epoch.

    Raises:
        InputError: when no checkpoint that can be read has them; with what is wrong with others.
    """
    is_own_code = isinstance(config, CodeConfig)
    checkpoints = Checkpoints(folder.checkpoints(experiment.storage), trial.number)
    is_whole = False
    for state in checkpoints.load_all():
        is_whole = True
        try:
            weights = _weights_in(state["training"], is_own_code, epoch)
        except (LookupError, TypeError, ValueError, RuntimeError):  # no state of a training
            continue
        if weights is not None:
            return weights
    damaged = [file for file in checkpoints.unreadable if file.epoch >= epoch]
    if is_own_code and is_whole and not damaged:  # the code saved no state at that epoch
        return {}
    message = f"{'rerun' if folder.part else 'trial'} {trial.number} has no whole checkpoint"
    message += f" of epoch {epoch} any more"
    raise InputError(": ".join([message, "; ".join(map(str, damaged))]) if damaged else message)


def _weights_in(
    state: dict[str, Any], is_own_code: bool, epoch: int
) -> Mapping[str, torch.Tensor] | None:
    """The weights of an epoch, if the saved state of a training has them."""
    if is_own_code:
        kept = state_at(state, epoch)
        return None if kept is None else tensors_in(kept)
    held = state if state["kept"] is None else state["kept"]
    if held["epoch"] != epoch:
        return None
    weights = held["model"] if state["kept"] is None else held["weights"]
    are_tensors = all(isinstance(tensor, torch.Tensor) for tensor in dict(weights).values())
    return weights if are_tensors else None


def tensors_in(state: Any, path: str = "") -> dict[str, torch.Tensor]:
    """All tensors of a nested state, named by their dotted paths."""
    if isinstance(state, np.ndarray):
        state = torch.from_numpy(state)
    if isinstance(state, torch.Tensor):
        return {path or "state": state}
    items = (
        state.items()
        if isinstance(state, Mapping)
        else enumerate(state)
        if isinstance(state, list | tuple)
        else ()
    )
    found: dict[str, torch.Tensor] = {}
    for key, value in items:
        found |= tensors_in(value, f"{path}.{key}" if path else str(key))
    return found
