"""The user's own training code as a training: epochs, states, and how it goes on from one."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import torch

from spaces.code import load_function
from spaces.interruptions import Switched
from spaces.problems import shown
from spaces.training_config import CodeConfig
from trainables.checkpoints.saved_state import with_arrays, without_arrays
from trainables.ranks import ALONE, Rank
from trainables.reports import EpochReport
from trainables.user_code.context import Context
from trainables.user_code.files import OwnFolder
from trainables.user_code.metrics import checked_metrics
from trainables.user_code.random_state import (
    RandomState,
    random_state,
    seed_everything,
    set_random_state,
)
from trainables.user_code.reporting import Train, generator_of


class CodeTraining:
    """One run of the user's code, with the interface of ``Training``.

    A run whose code never saves a state starts anew when it is resumed.

    Args:
        config: the settings, with the reference to the code.
        device: where it shall train.
        gpu_ids: the GPUs that Ray gave it.
        trial: its number in the search.
        folder: for files of its own; left out, one that goes with this object.
        rank: which of the processes that train it together this is.
    """

    def __init__(
        self,
        config: CodeConfig,
        device: torch.device,
        gpu_ids: tuple[str, ...] = (),
        trial: int = 0,
        folder: OwnFolder | None = None,
        rank: Rank = ALONE,
    ) -> None:
        self.config = config
        place = (rank.number, rank.world_size, rank.local)
        self._context = Context(device, config.seed, config.max_epochs, gpu_ids, trial, *place)
        if folder is not None:
            self._context._folder = folder
        self._generator: Generator[Any, None, Any] | None = None
        self._drawn: RandomState | None = None
        self._saved_drawn: RandomState | None = None  # at the end of the epoch that was saved last
        self._is_over = False  # the code has returned its only report
        self._kept: dict[str, Any] | None = None  # the best epoch, where metric.scope is best

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._context._epoch

    def __iter__(self) -> Iterator[EpochReport]:
        return self

    def __next__(self) -> EpochReport:
        if self._is_over or self.epoch >= self.config.epochs:
            raise StopIteration
        with self._global_generators():
            metrics = self._checked(self._next_metrics())
        self._context._epoch += 1
        self._context._drawn = None
        if self._context.state_epoch == self.epoch:
            self._saved_drawn = self._drawn
        self._keep_best(metrics)
        logged, self._context._logged = self._context._logged, []
        return EpochReport(self.epoch, metrics, is_last=self._is_over, logged=logged)

    def _global_generators(self) -> AbstractContextManager[None]:
        """The global generators as this training left them; afterwards as they were before.

        So trainings that take turns in one process draw what each would draw alone.
        """
        return Switched(self._take_up_generators, self._put_back_generators)

    def _take_up_generators(self) -> RandomState:
        before = random_state(self._context.device)
        if self._drawn is not None:
            set_random_state(self._drawn, self._context.device)
        return before

    def _put_back_generators(self, before: RandomState) -> None:
        self._drawn = random_state(self._context.device)
        set_random_state(before, self._context.device)

    def _checked(self, given: Any) -> dict[str, float]:
        """The metrics of an epoch; what is wrong with them is raised where the code yields them.

        So the traceback shows the line.
        """
        try:
            return checked_metrics(given)
        except TypeError as error:
            if self._generator is not None and not self._is_over:
                with suppress(StopIteration):  # the code handles it, and ends
                    self._generator.throw(error)
            raise

    def _next_metrics(self) -> Any:
        """What the code reports next, or the one dict that it returns instead."""
        if self._generator is None:
            seed_everything(self.config.seed)
            train = load_function(self.config.trainable, self._generator_of)
            self._generator = train(dict(self.config.settings), self._context)
        try:
            return next(self._generator)
        except StopIteration as end:
            if self.epoch or end.value is None:
                raise
            if not isinstance(end.value, dict):
                rule = "must report or yield the metrics of each epoch, or return those of one"
                raise TypeError(
                    f"{self.config.trainable} {rule}; it gave {shown(end.value)}"
                ) from None
            self._is_over = True
            return end.value

    def _generator_of(self, function: Train) -> Train:
        return generator_of(function, self._context._reports)

    def _keep_best(self, metrics: dict[str, float]) -> None:
        """With ``metric.scope: best``, keep the state of the best epoch, if one was saved then."""
        metric, context = self.config.metric, self._context
        value = metrics.get(metric.name, math.nan)
        if metric.scope != "best" or not math.isfinite(value):
            return
        if self._kept is None or metric.better(value, self._kept["value"]):
            state = context._saved if context.state_epoch == self.epoch else None
            self._kept = {"value": value, "epoch": self.epoch, "state": state}

    def saved_state(self, epoch: int) -> Any:
        """What the code saved at an epoch: the last, or the best one; None when it did not."""
        return state_at(self.state_dict(), epoch)

    def state_dict(self) -> dict[str, Any]:
        """What the code saved last, after how many epochs it did, and what was drawn until then."""
        context = self._context
        drawn = None if self._saved_drawn is None else tuple(self._saved_drawn)
        state = {"epoch": context.state_epoch, "state": context._saved, "kept": self._kept}
        plain = {name: without_arrays(held) for name, held in {**state, "drawn": drawn}.items()}
        return {**plain, "files": context._files}

    @staticmethod
    def epoch_of(state: dict[str, Any]) -> int:
        """The epoch after which a saved state goes on: 0 where the code had saved none."""
        is_saved = state["state"] is not None or state.get("files")
        epoch: int = state["epoch"] if is_saved else 0
        return epoch

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; without one, from the start.

        Of several processes, each starts its generators from the seed: only the first one's state
        is saved, and others may be meant to draw something else.
        """
        context, self._kept = self._context, with_arrays(state["kept"])
        context._saved, context._given = with_arrays(state["state"]), None
        context._epoch = context.state_epoch = self.epoch_of(state)
        drawn = with_arrays(state.get("drawn"))  # earlier versions have none, nor files
        if drawn is not None and context._epoch and context.world_size == 1:
            self._saved_drawn = context._drawn = RandomState(*drawn)
        context._files = state.get("files", {})
        if context.rank == 0:
            context._folder.put_back(context._files)

    def close(self) -> None:
        """End the code where it stands; its ``finally`` blocks run."""
        self._context._reports.should_stop = True
        if self._generator is not None:
            self._generator.close()


def state_at(state: dict[str, Any], epoch: int) -> Any:
    """What the user's code had saved at ``epoch``, from a ``state_dict``; None when it had not."""
    for held in (state["kept"], state):
        if held is not None and held["epoch"] == epoch:
            return with_arrays(held["state"])
    return None
