"""The optimizer, and the learning rate at each of its steps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import torch
from torch import nn

from spaces.settings.train import Schedule, Train


def _light(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimizer without PyTorch's compiler, whose import takes 2 s of each process.

    Its methods import it to say that they must not be compiled; here, no optimizer is.
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
    methods = {name: torch.no_grad()(inspect.unwrap(getattr(kind, name))) for name in names}
    return type(f"_{kind.__name__.upper()}", (kind,), methods)


_SGD = _light(torch.optim.SGD)
_ADAM = _light(torch.optim.Adam)
_ADAMW = _light(torch.optim.AdamW)
_RMSPROP = _light(torch.optim.RMSprop)


def make_optimizer(settings: Train, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer asked for, fused where PyTorch has that (faster on a CPU, too)."""
    parameters, decay = model.parameters(), settings.weight_decay
    match settings.optimizer:
        case "sgd":
            return _SGD(
                parameters,
                lr=settings.lr,
                momentum=settings.momentum,
                nesterov=settings.nesterov and settings.momentum > 0,
                weight_decay=decay,
                fused=True,
            )
        case "adam":
            return _ADAM(parameters, lr=settings.lr, weight_decay=decay, fused=True)
        case "adamw":
            return _ADAMW(parameters, lr=settings.lr, weight_decay=decay, fused=True)
        case "rmsprop":
            return _RMSPROP(
                parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=decay
            )


def schedule_factor(schedule: Schedule, step: int, steps_per_epoch: int, max_epochs: int) -> float:
    """By what the initial learning rate is multiplied at an optimizer step (from 0)."""
    warmup_steps = schedule.warmup_epochs * steps_per_epoch
    warmup = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    match schedule.name:
        case "constant":
            return warmup
        case "exponential":
            return warmup * schedule.gamma ** (step // steps_per_epoch)
        case "inverse_time":
            return warmup / (1.0 + schedule.decay * step)
        case "cosine":
            progress = step / (max_epochs * steps_per_epoch)
            return warmup * 0.5 * (1.0 + math.cos(math.pi * progress))
