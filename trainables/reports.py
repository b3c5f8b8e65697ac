"""``EpochReport``: what a training answers after each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EpochReport:
    """What one epoch gave.

    ``metrics``: train_loss (what is minimised, without penalties) and train_accuracy (where samples
    are mixed, for the class with the larger share), means over the epoch's steps, running;
    val_loss, val_accuracy, val_f1 and val_auc (at its end, see ``trainables.fitting.evaluation``);
    learning_rate and gradient_norm (of its last step); with ``diagnostics`` the measures of
    ``trainables.diagnostics.probes`` for each layer.
    ``steps``: (step, mean training loss of the last 50 steps), optimizer steps counted from 1 over
    the whole training. ``is_last``: the training ends with it before ``max_epochs``.
    ``logged``: (kind, name, content) of each image and text that the user's own code logged.
    """

    epoch: int
    metrics: dict[str, float]
    steps: list[tuple[int, float]] = field(default_factory=list)
    is_last: bool = False
    logged: list[tuple[str, str, bytes]] = field(default_factory=list)
