"""Trainings that ask for their next epoch one by one, and get it together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from spaces.training_config import TrainConfig
from trainables.data.splits import Data
from trainables.models.families import empty_model
from trainables.reports import EpochReport
from trainables.room import is_short_of_room
from trainables.shoal.feed import Feeds
from trainables.shoal.kind import kind_of, unfit
from trainables.shoal.shoal import Shoal
from trainables.training import Training


class ShoalError(Exception):
    """A shoal has failed. Its trainings are whole in their checkpoints only."""


class School:
    """A shoal whose trainings are asked for one by one.

    Args:
        shoal: with no trainings yet.
    """

    def __init__(self, shoal: Shoal) -> None:
        self._shoal: Shoal | None = shoal
        self._waiting: dict[int, deque[EpochReport]] = {}  # reports that nobody has asked for yet
        self._admitted = 0
        self.failure = ""  # why it has failed, if it has
        self.is_short_of_room = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def shoal(self) -> Shoal:
        """The trainings.

        Raises:
            ShoalError: when they have failed.
        """
        if self._shoal is None:
            raise ShoalError(self.failure)
        return self._shoal

    def admit(self, config: TrainConfig) -> int:
        """Let a training in; returns its lane.

        Raises:
            ValueError: when its settings do not fit the data.
            ShoalError: when the shoal fails.
        """
        with self._failing_as_one(ValueError):
            self.shoal.admit(self._admitted, config)
            self._waiting[self._admitted] = deque()
            self._admitted += 1
        return self._admitted - 1

    def evict(self, lane: int) -> None:
        """Let a training go."""
        if self._shoal is not None:
            with self._failing_as_one():
                self._shoal.evict(lane)
                del self._waiting[lane]

    def next(self, lane: int) -> EpochReport | None:
        """The next report of a training; None when it has ended.

        Where none waits, all trainings of which none does are trained for an epoch.

        Raises:
            ShoalError: when the shoal fails, or has failed.
        """
        shoal = self.shoal
        if not self._waiting[lane]:
            free = [other for other, reports in self._waiting.items() if not reports]
            with self._failing_as_one():
                reports = shoal.train_epoch(free)
            for other, report in reports.items():
                self._waiting[other].append(report)
        return self._waiting[lane].popleft() if self._waiting[lane] else None

    @contextmanager
    def _failing_as_one(self, *refusals: type[Exception]) -> Iterator[None]:
        """What interrupts a change of the shoal leaves no training whole; its memory is given back.

        Args:
            refusals: errors that are raised before anything has changed.
        """
        try:
            yield
        except BaseException as error:
            if isinstance(error, (ShoalError, *refusals)):
                raise
            self.failure = f"{type(error).__name__}: {error}"
            self.is_short_of_room = is_short_of_room(error)
            self._shoal = None
            self._waiting.clear()
            if isinstance(error, Exception):
                raise ShoalError(self.failure) from None
            raise


class Pool:
    """The shoals of a process, one of each kind that is being trained.

    Args:
        data: the splits, in host memory.
        lanes: the most that a shoal has.
        alone: kinds that make no shoal.
    """

    def __init__(self, data: Data, lanes: int, alone: frozenset[str] = frozenset()) -> None:
        self._data = data
        self._lanes = lanes
        self._feeds: dict[torch.device, Feeds] = {}
        self._schools: dict[str, School] = {}
        self._alone = set(alone)  # and kinds whose shoal has failed for another reason than memory

    def takes(self, config: TrainConfig) -> bool:
        """Whether a training can be part of a shoal, and there is room for it.

        A shoal that was short of memory comes back with half the lanes; what failed otherwise is
        trained one by one from then on.
        """
        self._tidy()
        kind = kind_of(config)
        if unfit(config) or kind in self._alone:
            return False
        return len(self._schools.get(kind, ())) < self._lanes

    def enter(self, config: TrainConfig, device: torch.device) -> School:
        """The trainings of its kind."""
        kind = kind_of(config)
        if kind not in self._schools:
            if device not in self._feeds:
                self._feeds[device] = Feeds.of(self._data, device)
            shoal = Shoal(config, self._data, device, self._lanes, self._feeds[device])
            self._schools[kind] = School(shoal)
        return self._schools[kind]

    def _tidy(self) -> None:
        """Give up shoals that have failed, or have no trainings."""
        for kind, school in [*self._schools.items()]:
            if school.failure and school.is_short_of_room and self._lanes > 1:
                self._lanes //= 2
            elif school.failure:
                self._alone.add(kind)
            if not school:
                del self._schools[kind]

    def empty_model(self, config: TrainConfig) -> nn.Sequential:
        """A model of the data, whose weights have shapes and no memory."""
        data = self._data
        return empty_model(config.model, data.input_shape, data.outputs, config.seed)


class Member:
    """A training in a shoal, with the interface of ``Training``.

    Args:
        pool: of this process.
        config: its settings.
        device: where it trains.

    Raises:
        ValueError: when the settings do not fit the data.
    """

    def __init__(self, pool: Pool, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        self._pool = pool
        self._school = pool.enter(config, device)
        self._lane = self._school.admit(config)

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._school.shoal.epoch(self._lane)

    @property
    def model(self) -> nn.Sequential:
        """Its model without weights: what counts is their shapes."""
        return self._pool.empty_model(self.config)

    def __iter__(self) -> Iterator[EpochReport]:
        return self

    def __next__(self) -> EpochReport:
        report = self._school.next(self._lane)
        if report is None:
            raise StopIteration
        return report

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that the next epoch depends on, as ``Training`` has it."""
        return self._school.shoal.extract(self._lane)

    @staticmethod
    def epoch_of(state: dict[str, Any]) -> int:
        """The epoch after which a saved state goes on."""
        return Training.epoch_of(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same configuration."""
        self._school.shoal.load(self._lane, state)

    def close(self) -> None:
        """Leave the shoal."""
        self._school.evict(self._lane)
