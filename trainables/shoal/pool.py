"""Trainings that ask for their next epoch one by one, and get it together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from spaces.training_config import TrainConfig
from trainables.data.splits import Data
from trainables.models.families import empty_model
from trainables.reports import EpochReport
from trainables.shoal.kind import kind_of
from trainables.shoal.shoal import Shoal
from trainables.training import Training


class School:
    """A shoal whose trainings are asked for one by one.

    Args:
        shoal: with no trainings yet.
        threads: of PyTorch, for all of it.
    """

    def __init__(self, shoal: Shoal, threads: int) -> None:
        self.shoal = shoal
        self._threads = threads
        self.failure: BaseException | None = None
        self._waiting: dict[int, deque[EpochReport]] = {}  # reports that nobody has asked for yet
        self._admitted = 0

    def admit(self, config: TrainConfig) -> int:
        """Let a training in; returns its lane."""
        lane = self._admitted
        self.shoal.admit(lane, config)
        self._waiting[lane] = deque()
        self._admitted += 1
        return lane

    def evict(self, lane: int) -> None:
        """Let a training go."""
        self.shoal.evict(lane)
        del self._waiting[lane]

    def next(self, lane: int) -> EpochReport | None:
        """The next report of a training; None when it has ended.

        Where none waits, all trainings of which none does are trained for an epoch. If that fails,
        it fails for all of them.
        """
        if self.failure is not None:
            raise self.failure
        if not self._waiting[lane]:
            free = [other for other, reports in self._waiting.items() if not reports]
            before = torch.get_num_threads()  # those of one training
            try:
                torch.set_num_threads(self._threads)
                reports = self.shoal.train_epoch(free)
            except BaseException as error:
                self.failure = error
                raise
            finally:
                torch.set_num_threads(before)
            for other, report in reports.items():
                self._waiting[other].append(report)
        return self._waiting[lane].popleft() if self._waiting[lane] else None


class Pool:
    """The shoals of a process, one of each kind that is being trained.

    Args:
        data: the splits, in host memory.
        lanes: the most that a shoal has.
        threads: of PyTorch, for a shoal.
    """

    def __init__(self, data: Data, lanes: int, threads: int) -> None:
        self._data = data
        self._lanes = lanes
        self._threads = threads
        self._schools: dict[str, School] = {}

    def school_of(self, config: TrainConfig, device: torch.device) -> School:
        """The trainings of its kind; new ones where there are none, or those there have failed."""
        kind = kind_of(config)
        held = self._schools.get(kind)
        if held is None or held.failure is not None:
            shoal = Shoal(config, self._data, device, self._lanes)
            held = self._schools[kind] = School(shoal, self._threads)
        return held

    def empty_model(self, config: TrainConfig) -> nn.Sequential:
        """A model of the data, whose weights have shapes and no memory."""
        data = self._data
        return empty_model(config.model, data.input_shape, data.outputs, config.seed)

    def tidy(self) -> None:
        """Give back the memory of shoals without trainings."""
        self._schools = {kind: held for kind, held in self._schools.items() if len(held.shoal)}


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
        self._school = pool.school_of(config, device)
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
        self._pool.tidy()
