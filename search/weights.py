"""The weights that a trial or a rerun scored with, from its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from analysis.run import RunFolder
from analysis.trials import Trial
from spaces.experiment import Experiment
from spaces.problems import InputError
from trainables.checkpoints import MOST_BYTES, Checkpoints
from trainables.config import AnyConfig, CodeConfig, TrainConfig
from trainables.data import InputSpec
from trainables.models import empty_model, most_state_bytes
from trainables.own_code import state_at


class Noted(NamedTuple):
    """``code``: what it took from its project, unchecked; ``parts``: of the state that it saved."""

    code: Any
    parts: dict[str, int]


def weights_of(
    folder: RunFolder,
    experiment: Experiment,
    trial: Trial,
    config: AnyConfig,
    epoch: int,
    inputs: InputSpec | None,
) -> Mapping[str, torch.Tensor]:
    """The weights that scored: those of exactly that epoch.

    Args:
        folder: of the trials, or of the reruns.
        experiment: of the run.
        trial: whose weights.
        config: what it trained.
        epoch: at which it scored.
        inputs: what a built-in model takes and gives; its checkpoints are no larger than it needs.

    Raises:
        InputError: when no checkpoint that can be read has them; with what is wrong with others.
    """
    is_own_code, model, most = isinstance(config, CodeConfig), None, MOST_BYTES
    if isinstance(config, TrainConfig) and inputs is not None:
        try:
            model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
        except ValueError as error:
            raise InputError(str(error), source=f"trial {trial.number}") from None
        most = most_state_bytes(model)
    checkpoints = Checkpoints(folder.checkpoints(experiment.storage), trial.number, most)
    is_whole = False
    for state in checkpoints.load_all():
        is_whole = True
        try:
            weights = _weights_in(state["training"], is_own_code, epoch)
        except (LookupError, TypeError, ValueError, RuntimeError):  # no state of a training
            continue
        if weights is not None and (model is None or _fits(weights, model)):
            return weights
    damaged = [file for file in checkpoints.unreadable if file.epoch >= epoch]
    if is_own_code and is_whole and not damaged:  # the code saved no state at that epoch
        return {}
    message = f"{'rerun' if folder.part else 'trial'} {trial.number} has no whole checkpoint"
    message += f" of epoch {epoch} any more"
    raise InputError(": ".join([message, "; ".join(map(str, damaged))]) if damaged else message)


def noted_of(folder: RunFolder, experiment: Experiment, trial: Trial, epoch: int) -> Noted:
    """What the checkpoint of a user's own code notes beside its weights."""
    place = folder.checkpoints(experiment.storage)
    for state in Checkpoints(place, trial.number).load_all():
        try:
            return Noted(state.get("code"), parts_of(state_at(state["training"], epoch)))
        except (LookupError, TypeError, ValueError, AttributeError):  # no state of a training
            continue
    return Noted(None, {})


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


def _fits(weights: Mapping[str, torch.Tensor], model: nn.Module) -> bool:
    """Whether they are the weights of a model, by their names, shapes and types."""

    def layout(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
        return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}

    return layout(weights) == layout(model.state_dict())


def parts_of(state: Any) -> dict[str, int]:
    """The parts of a saved state that hold tensors, with how many; "" stands for the state itself.

    ``{"model": model.state_dict(), "optimizer": …}`` has parts, ``model.state_dict()`` has none.
    """
    if isinstance(state, torch.Tensor):
        return {"": 1}
    if not isinstance(state, Mapping):
        return {"": len(tensors_in(state))} if tensors_in(state) else {}
    counts = {
        "" if isinstance(value, torch.Tensor) else str(key): len(tensors_in(value))
        for key, value in state.items()
    }
    return {name: count for name, count in counts.items() if count}


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
