"""The optimizer, and the learning rate at each of its steps."""

from __future__ import annotations

import math

import torch
from torch import nn

from spaces.settings.train import Schedule, Train


def make_optimizer(settings: Train, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer asked for, fused where PyTorch has that (faster on a CPU, too)."""
    parameters, decay = model.parameters(), settings.weight_decay
    match settings.optimizer:
        case "sgd":
            return torch.optim.SGD(
                parameters,
                lr=settings.lr,
                momentum=settings.momentum,
                nesterov=settings.nesterov and settings.momentum > 0,
                weight_decay=decay,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(parameters, lr=settings.lr, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(
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
