"""The user's own training code: a generator that yields the metrics of each epoch."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch

from spaces.code import load_function
from trainables.checkpoints import check_savable
from trainables.config import CodeConfig
from trainables.training import EpochReport


@dataclass
class Context:
    """What the user's generator is given beside its configuration.

    ``device``: where to train. ``seed``: this trial's own. ``max_epochs``: how many epochs there
    can be. ``gpu_ids``: the GPUs that Ray gave this trial. ``epoch``: epochs already done, 0 unless
    resumed. ``state``: what was last saved, None unless resumed; ``state_epoch``: its epoch.
    """

    device: torch.device
    seed: int
    max_epochs: int
    gpu_ids: tuple[str, ...] = ()
    state: Any = None
    state_epoch: int = 0
    _epoch: int = 0

    @property
    def epoch(self) -> int:
        """Epochs done; they are counted here, by the yields."""
        return self._epoch

    def save(self, state: Any) -> None:
        """Keep a state to resume from; call it before the ``yield`` of the epoch it belongs to.

        Args:
            state: tensors, numbers, texts, and lists and dicts of them; such as state_dicts.

        Raises:
            TypeError: when the first state saved holds anything else.
        """
        if self.state is None:
            check_savable(state)
        self.state = copy.deepcopy(state)  # the code goes on to change its tensors in place
        self.state_epoch = self.epoch + 1


class CodeTraining:
    """One run of the user's generator, with the interface of ``Training``.

    A run whose code never saves a state starts anew when it is resumed.

    Args:
        config: the settings, with the reference to the code.
        device: where it shall train.
        gpu_ids: the GPUs that Ray gave it.
    """

    def __init__(
        self, config: CodeConfig, device: torch.device, gpu_ids: tuple[str, ...] = ()
    ) -> None:
        self.config = config
        self._context = Context(device, config.seed, config.max_epochs, gpu_ids)
        self._generator: Generator[dict[str, float]] | None = None
        self._kept: dict[str, Any] | None = None  # the best epoch, where metric.scope is best

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._context.epoch

    def __iter__(self) -> Iterator[EpochReport]:
        return self

    def __next__(self) -> EpochReport:
        if self.epoch >= self.config.epochs:
            raise StopIteration
        if self._generator is None:
            _seed_everything(self.config.seed)
            train = load_function(self.config.trainable)
            self._generator = train(dict(self.config.settings), self._context)
            if not isinstance(self._generator, Generator):
                kind = type(self._generator).__name__
                raise TypeError(f"{self.config.trainable} must be a generator, it gave {kind}")
        metrics = _checked(next(self._generator))
        self._context._epoch += 1
        self._keep_best(metrics)
        return EpochReport(self.epoch, metrics)

    def _keep_best(self, metrics: dict[str, float]) -> None:
        """With ``metric.scope: best``, keep the state of the best epoch, if one was saved then."""
        metric, context = self.config.metric, self._context
        value = metrics.get(metric.name, math.nan)
        if metric.scope != "best" or not math.isfinite(value):
            return
        if self._kept is None or metric.better(value, self._kept["value"]):
            state = context.state if context.state_epoch == context.epoch else None
            self._kept = {"value": value, "epoch": self.epoch, "state": state}

    def saved_state(self, epoch: int) -> Any:
        """What the code saved at an epoch: the last, or the best one; None when it did not."""
        return state_at(self.state_dict(), epoch)

    def state_dict(self) -> dict[str, Any]:
        """What the code saved last, and after how many epochs it did."""
        context = self._context
        return {"epoch": context.state_epoch, "state": context.state, "kept": self._kept}

    @staticmethod
    def epoch_of(state: dict[str, Any]) -> int:
        """The epoch after which a saved state goes on: 0 where the code had saved none."""
        epoch: int = state["epoch"] if state["state"] is not None else 0
        return epoch

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; without one, from the start."""
        context, self._kept = self._context, state["kept"]
        context.state = state["state"]
        context._epoch = context.state_epoch = self.epoch_of(state)

    def close(self) -> None:
        """Let the generator run its ``finally`` blocks."""
        if self._generator is not None:
            self._generator.close()


def state_at(state: dict[str, Any], epoch: int) -> Any:
    """What the user's code had saved at ``epoch``, from a ``state_dict``; None when it had not."""
    for held in (state["kept"], state):
        if held is not None and held["epoch"] == epoch:
            return held["state"]
    return None


def _seed_everything(seed: int) -> None:
    """The user's code may draw from the global generators; a reused process starts them afresh."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _checked(metrics: Any) -> dict[str, float]:
    rule = "each epoch must yield a mapping of metric names to numbers"
    if not isinstance(metrics, dict):
        raise TypeError(f"{rule}, got {metrics!r}")
    for name, value in metrics.items():
        if not isinstance(value, Real) and not (hasattr(value, "numel") and value.numel() == 1):
            raise TypeError(f"{rule}, got {name}: {value!r}")
    return {_written(name): _number(value) for name, value in metrics.items()}


def _written(name: Any) -> str:
    return str(name).encode(errors="backslashreplace").decode()


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
