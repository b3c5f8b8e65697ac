"""The weights that a trial or a rerun scored with, from its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from analysis.run import RunFolder
from analysis.trials import Trial
from spaces.experiment import Experiment
from spaces.problems import InputError
from trainables.checkpoints import Checkpoints
from trainables.config import AnyConfig, CodeConfig
from trainables.own_code import state_at


class Noted(NamedTuple):
    """``code``: what it took from its project, unchecked; ``parts``: of the state that it saved."""

    code: Any
    parts: dict[str, int]


def weights_of(
    folder: RunFolder, experiment: Experiment, trial: Trial, config: AnyConfig, epoch: int
) -> Mapping[str, torch.Tensor]:
    """The weights that scored: those of exactly that epoch."""
    is_own_code = isinstance(config, CodeConfig)
    place = folder.checkpoints(experiment.storage)
    is_whole = False
    for state in Checkpoints(place, trial.number).load_all():
        is_whole = True
        try:
            weights = _weights_in(state["training"], is_own_code, epoch)
        except (LookupError, TypeError, ValueError, RuntimeError):  # no state of a training
            continue
        if weights is not None:
            return weights
    if is_own_code and is_whole:  # the code saved no state at that epoch
        return {}
    noun = "rerun" if folder.part else "trial"
    raise InputError(f"{noun} {trial.number} has no whole checkpoint of epoch {epoch} any more")


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
