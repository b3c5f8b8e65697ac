"""A plain model, taken apart: each layer with weights, and what follows before the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from trainables.models.layers import Dropout

Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm


@dataclass
class Stage:
    """A linear or conv layer, then norm, activation, pooling and dropout, where there are any."""

    layer: nn.Linear | nn.Conv2d
    norm: nn.Module = field(default_factory=nn.Identity)
    activation: nn.Module = field(default_factory=nn.Identity)
    pool: nn.MaxPool2d | None = None
    dropout: Dropout | None = None

    @property
    def has_batch_norm(self) -> bool:
        """Whether its norm keeps means and variances."""
        return isinstance(self.norm, nn.BatchNorm1d | nn.BatchNorm2d)


def stages_of(model: nn.Sequential) -> list[Stage]:
    """The stages of a model of ``build_model``; what flattens an image is no part of any."""
    stages: list[Stage] = []
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv2d):
            stages.append(Stage(module))
        elif isinstance(module, Norm):
            stages[-1].norm = module
        elif isinstance(module, nn.MaxPool2d):
            stages[-1].pool = module
        elif isinstance(module, Dropout):
            stages[-1].dropout = module
        elif not isinstance(module, nn.Flatten):
            stages[-1].activation = module
    return stages


def style_of(stages: Sequence[Stage]) -> tuple[str, ...]:
    """What tells norms and activations apart; lanes of one style are computed together."""
    return tuple(repr(layer) for stage in stages for layer in (stage.norm, stage.activation))
