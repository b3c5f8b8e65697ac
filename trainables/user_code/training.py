"""The user's own training code: a function that yields the metrics of each epoch."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from spaces.code import load_function
from spaces.problems import shown, unknown_name
from spaces.training_config import CodeConfig
from trainables.checkpoints.saved_state import checked_state, with_arrays, without_arrays
from trainables.training import EpochReport
from trainables.user_code.files import OwnFolder

_METRICS_RULE = "each epoch must yield a mapping of metric names to numbers"


@dataclass
class Context:
    """What the user's generator is given beside its configuration.

    ``device``: where to train. ``seed``: this trial's own. ``max_epochs``: how many epochs there
    can be. ``gpu_ids``: the GPUs that Ray gave this trial. ``trial``: its number, 0 where there is
    no search. ``epoch``: epochs already done, 0 unless resumed. ``state``: what was last saved,
    None unless resumed; ``state_epoch``: its epoch. ``folder``: for files of this trial's own.
    """

    device: torch.device
    seed: int
    max_epochs: int
    gpu_ids: tuple[str, ...] = ()
    trial: int = 0
    state: Any = None
    state_epoch: int = 0
    _epoch: int = 0
    _folder: OwnFolder = field(default_factory=lambda: OwnFolder(None))

    @property
    def epoch(self) -> int:
        """Epochs done; they are counted here, by the yields."""
        return self._epoch

    @property
    def folder(self) -> Path:
        """A folder of this trial's own in the run's, made when it is first asked for.

        Raises:
            StorageError: when it can't be made on this machine.
        """
        return self._folder.path()

    def save(self, state: Any) -> None:
        """Keep a state to resume from; call it before the ``yield`` of the epoch it belongs to.

        Args:
            state: tensors, NumPy arrays, numbers, texts, and lists and dicts of them; such as
                state_dicts. It comes back as it was, but single numbers of NumPy's as Python's.

        Raises:
            TypeError: when it holds anything else, with the place where that stands.
        """
        plain = checked_state(state)
        self.state = copy.deepcopy(plain)  # the code goes on to change its tensors in place
        self.state_epoch = self.epoch + 1


class CodeTraining:
    """One run of the user's generator, with the interface of ``Training``.

    A run whose code never saves a state starts anew when it is resumed.

    Args:
        config: the settings, with the reference to the code.
        device: where it shall train.
        gpu_ids: the GPUs that Ray gave it.
        trial: its number in the search.
        folder: for files of its own; left out, one that goes with this object.
    """

    def __init__(
        self,
        config: CodeConfig,
        device: torch.device,
        gpu_ids: tuple[str, ...] = (),
        trial: int = 0,
        folder: OwnFolder | None = None,
    ) -> None:
        self.config = config
        self._context = Context(device, config.seed, config.max_epochs, gpu_ids, trial)
        if folder is not None:
            self._context._folder = folder
        self._generator: Generator[Any, None, Any] | None = None
        self._drawn: _RandomState | None = None
        self._is_over = False  # the code has returned its only report
        self._kept: dict[str, Any] | None = None  # the best epoch, where metric.scope is best

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._context.epoch

    def __iter__(self) -> Iterator[EpochReport]:
        return self

    def __next__(self) -> EpochReport:
        if self._is_over or self.epoch >= self.config.epochs:
            raise StopIteration
        with self._global_generators():
            metrics = _checked(self._next_yield())
        self._context._epoch += 1
        self._keep_best(metrics)
        return EpochReport(self.epoch, metrics, is_last=self._is_over)

    @contextmanager
    def _global_generators(self) -> Iterator[None]:
        """The global generators as this training left them; afterwards as they were before.

        So trainings that take turns in one process draw what each would draw alone.
        """
        before = _random_state()
        if self._drawn is not None:
            _set_random_state(self._drawn)
        try:
            yield
        finally:
            self._drawn = _random_state()
            _set_random_state(before)

    def _next_yield(self) -> Any:
        """What the code yields next, or the one dict that it returns instead."""
        if self._generator is None:
            _seed_everything(self.config.seed)
            train = load_function(self.config.trainable)
            given = train(dict(self.config.settings), self._context)
            if isinstance(given, dict):
                self._is_over = True
                return given
            if not isinstance(given, Generator):
                rule = "must yield the metrics of each epoch, or return those of a single one"
                raise TypeError(f"{self.config.trainable} {rule}; it gave {shown(given)}")
            self._generator = given
        try:
            return next(self._generator)
        except StopIteration as end:
            if self.epoch or not isinstance(end.value, dict):
                raise
            self._is_over = True  # a generator that returned before its first yield
            return end.value

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
        state = {"epoch": context.state_epoch, "state": context.state, "kept": self._kept}
        return {name: without_arrays(held) for name, held in state.items()}

    @staticmethod
    def epoch_of(state: dict[str, Any]) -> int:
        """The epoch after which a saved state goes on: 0 where the code had saved none."""
        epoch: int = state["epoch"] if state["state"] is not None else 0
        return epoch

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; without one, from the start."""
        context, self._kept = self._context, with_arrays(state["kept"])
        context.state = with_arrays(state["state"])
        context._epoch = context.state_epoch = self.epoch_of(state)

    def close(self) -> None:
        """Let the generator run its ``finally`` blocks."""
        if self._generator is not None:
            self._generator.close()


def state_at(state: dict[str, Any], epoch: int) -> Any:
    """What the user's code had saved at ``epoch``, from a ``state_dict``; None when it had not."""
    for held in (state["kept"], state):
        if held is not None and held["epoch"] == epoch:
            return with_arrays(held["state"])
    return None


class _RandomState(NamedTuple):
    """How the global generators stand, those of GPUs aside."""

    python: Any
    numpy: Any
    torch: torch.Tensor


def _random_state() -> _RandomState:
    return _RandomState(random.getstate(), np.random.get_state(), torch.get_rng_state())


def _set_random_state(state: _RandomState) -> None:
    random.setstate(state.python)
    np.random.set_state(state.numpy)
    torch.set_rng_state(state.torch)


def _seed_everything(seed: int) -> None:
    """The user's code may draw from the global generators; a reused process starts them afresh."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def absent_metric(name: str, epoch: int, metrics: Iterable[str]) -> str:
    """What is wrong with a report that has not the metric of the search.

    Args:
        name: the metric's.
        epoch: the report's.
        metrics: that it has.
    """
    if epoch == 1:
        rule = "each epoch must yield the metric of the search"
        return f"metric.name: {unknown_name('metric', name, metrics)}; {rule}"
    return (
        f"{name}, the metric of the search, is absent at epoch {epoch}, but was there before; "
        f"each epoch must yield it, for any of them may decide. It yielded {', '.join(metrics)}"
    )


def _checked(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, dict):
        raise TypeError(f"{_METRICS_RULE}, got {shown(metrics)}")
    return {_written(name): _number(name, value) for name, value in metrics.items()}


def _written(name: Any) -> str:
    return str(name).encode(errors="backslashreplace").decode()


def _number(name: Any, value: Any) -> float:
    """One number as a float: Python's, NumPy's, or that of an array or tensor of one element."""
    plain = value
    if not isinstance(value, Real) and hasattr(value, "item"):
        try:
            plain = value.item()
        except (TypeError, ValueError, RuntimeError):  # it has more than one element
            plain = None
    if not isinstance(plain, Real):
        raise TypeError(f"{_METRICS_RULE}, got {name}: {shown(value)}")
    try:
        return float(plain)
    except OverflowError:
        return math.inf
