"""The weights that a trial or a rerun scored with, from its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from analysis.record.folder import RunFolder
from analysis.record.trials import Trial
from spaces.experiment import Experiment
from spaces.problems import InputError
from spaces.training_config import AnyConfig, CodeConfig, TrainConfig
from trainables.checkpoints.checkpoints import MOST_BYTES, Checkpoints
from trainables.checkpoints.limits import UnfoldingError, check_copied
from trainables.data.input_spec import InputSpec
from trainables.models.families import empty_model, most_state_bytes
from trainables.user_code.training import state_at


class Kept(NamedTuple):
    """What one checkpoint holds of an epoch.

    ``weights``: none, where the user's own code saved no state then. ``code``: what that took from
    its project, unchecked; ``parts``: of the state that it saved; ``state``: that itself.
    """

    weights: Mapping[str, torch.Tensor]
    code: Any = None
    parts: Mapping[str, int] = MappingProxyType({})
    state: Any = None


def weights_of(
    folder: RunFolder,
    experiment: Experiment,
    trial: Trial,
    config: AnyConfig,
    epoch: int,
    inputs: InputSpec | None,
) -> Kept:
    """The weights that scored: those of exactly that epoch, and what stands beside them.

    Args:
        folder: of the trials, or of the reruns.
        experiment: of the run.
        trial: whose weights.
        config: what it trained.
        epoch: at which it scored.
        inputs: what a built-in model takes and gives; its checkpoints are no larger than it needs.

    Raises:
        InputError: when no checkpoint that can be read has them, with what is wrong with others;
            or they are too large once they are copied.
    """
    told = f"{'rerun' if folder.part else 'trial'} {trial.number}"
    is_own_code, model, most = isinstance(config, CodeConfig), None, MOST_BYTES
    if isinstance(config, TrainConfig) and inputs is not None:
        try:
            model = empty_model(config.model, tuple(inputs.shape), inputs.outputs, config.seed)
        except ValueError as error:
            raise InputError(str(error), source=told) from None
        most = most_state_bytes(model)
    checkpoints = Checkpoints(folder.checkpoints(experiment.storage), trial.number, most)
    without: Kept | None = None  # of code that saved no state at that epoch
    for state in checkpoints.load_all():
        if _is_of(state, epoch):
            without = without or Kept({}, state.get("code"))
        try:
            kept = _kept_in(state, is_own_code, epoch)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError):
            continue  # no state of a training
        if kept is not None and (model is None or _fits(kept.weights, model)):
            try:
                check_copied(kept.weights.values())
            except UnfoldingError as error:
                raise InputError(f"a bundle can't hold its state: {error}", told) from None
            return kept
    damaged = [file for file in checkpoints.unreadable if file.epoch >= epoch]
    if is_own_code and without is not None and not damaged:
        return without
    message = f"{told} has no whole checkpoint of epoch {epoch} any more"
    raise InputError(": ".join([message, "; ".join(map(str, damaged))]) if damaged else message)


def _is_of(state: dict[str, Any], epoch: int) -> bool:
    """Whether a checkpoint was written at an epoch, or at a later one."""
    try:
        return bool(state["reports"][-1]["epoch"] >= epoch)
    except (LookupError, TypeError):
        return False


def _kept_in(state: dict[str, Any], is_own_code: bool, epoch: int) -> Kept | None:
    """What a checkpoint holds of an epoch, if it has the weights of that."""
    training = state["training"]
    if is_own_code:
        saved, code = state_at(training, epoch), state.get("code")
        return None if saved is None else Kept(tensors_in(saved), code, parts_of(saved), saved)
    held = training if training["kept"] is None else training["kept"]
    if held["epoch"] != epoch:
        return None
    weights = held["model"] if training["kept"] is None else held["weights"]
    are_tensors = all(isinstance(tensor, torch.Tensor) for tensor in dict(weights).values())
    return Kept(weights) if are_tensors else None


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
