"""Where a training stands: its epochs, its best one, and what it reports of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from spaces.training_config import TrainConfig
from trainables.diagnostics.divergence import has_exploded
from trainables.fitting.evaluation import score_names
from trainables.fitting.patience import Patience
from trainables.reports import EpochReport

STEPS_PER_LOSS = 50  # the training loss is reported as the mean over that many steps


@dataclass
class Losses:
    """The losses of an epoch, as they become known.

    ``mean``: over the epoch, infinite or NaN where the training is lost; ``steps``: (step, mean
    loss of the last 50 steps), optimizer steps counted over the whole training.
    """

    mean: float = math.nan
    steps: list[tuple[int, float]] = field(default_factory=list)


class Progress:
    """How far a training has come, whoever trains it.

    Args:
        config: its settings.
        classes: how many there are, 0 for a regression.
    """

    def __init__(self, config: TrainConfig, classes: int) -> None:
        self._config = config
        self._classes = classes
        self.epoch = 0
        self.step = 0
        self._first_loss: float | None = None  # that of the first batch
        self._kept: dict[str, Any] | None = None  # the best epoch, where metric.scope is best
        self._patience = Patience(None if config.final else config.train.patience, config.metric)

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left to train."""
        return self.epoch >= self._config.epochs or self._patience.is_spent

    @property
    def kept_weights(self) -> dict[str, torch.Tensor] | None:
        """The best epoch's, where metric.scope is best."""
        return None if self._kept is None else self._kept["weights"]

    def look(self, losses: torch.Tensor, number: int, into: Losses) -> bool:
        """Take in the losses of the last steps, at most 50; returns whether the training is lost.

        Args:
            losses: (steps,), of each step of the epoch.
            number: so many steps are done; ``step`` stands at the last of them.
            into: what is known of the epoch.
        """
        window = losses[(number - 1) // STEPS_PER_LOSS * STEPS_PER_LOSS : number].mean().item()
        into.steps.append((self.step, window))
        if self._first_loss is None:
            self._first_loss = losses[0].item()
        is_lost = has_exploded(window, self._first_loss)
        if is_lost or number == len(losses):
            mean = losses[:number].mean().item()
            into.mean = math.inf if is_lost and math.isfinite(mean) else mean
        return is_lost

    def report(
        self,
        losses: Losses,
        accuracy: float,
        others: dict[str, float],
        scores: Callable[[], dict[str, float]],
        weights: Callable[[], dict[str, torch.Tensor]],
    ) -> EpochReport:
        """What an epoch that has ended gave.

        Args:
            losses: all of its own.
            accuracy: on the training samples, as they were seen.
            others: further metrics.
            scores: measures the model on the validation split.
            weights: a copy of them, asked for where this epoch is the best.
        """
        finite = math.isfinite(losses.mean)
        metrics = {"train_loss": losses.mean}
        if self._classes:
            metrics["train_accuracy"] = accuracy if finite else math.nan
        if not self._config.final:
            validation = scores() if finite else self._no_scores()
            metrics |= {f"val_{name}": value for name, value in validation.items()}
        metrics |= others
        self._keep_best(metrics, weights)
        self._patience.see(metrics.get(self._config.metric.name, math.nan))
        return EpochReport(self.epoch, metrics, losses.steps, self._patience.is_spent)

    def _no_scores(self) -> dict[str, float]:
        return dict.fromkeys(score_names(self._classes), math.nan)

    def _keep_best(
        self, metrics: dict[str, float], weights: Callable[[], dict[str, torch.Tensor]]
    ) -> None:
        metric = self._config.metric
        if metric.scope != "best" or self._config.final:
            return
        if not math.isfinite(value := metrics[metric.name]):
            return
        if self._kept is None or metric.better(value, self._kept["value"]):
            self._kept = {"value": value, "epoch": self.epoch, "weights": weights()}

    def state_dict(self) -> dict[str, Any]:
        """All of it, as tensors and plain values."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "first_loss": self._first_loss,
            "kept": self._kept,
            "patience": self._patience.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave for the same configuration."""
        self.epoch, self.step = state["epoch"], state["step"]
        self._first_loss = state["first_loss"]
        self._kept = state["kept"]
        if "patience" in state:  # earlier versions had none
            self._patience.load_state_dict(state["patience"])
