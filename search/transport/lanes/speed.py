"""How fast configurations train as one model, and one after another: measured in a few steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import torch

from search.transport.first_config import first_configs
from spaces.experiment import Experiment
from spaces.training_config import TrainConfig
from trainables.data.sources import Split
from trainables.data.splits import Data
from trainables.room import is_short_of_room
from trainables.shoal.kind import kind_of, unfit
from trainables.shoal.repeated import FEWEST
from trainables.shoal.shoal import Shoal
from trainables.training import Training

_DRAWN = 40  # configurations, by which the share of each kind is known
_MOST_KINDS = 3  # that are measured; the others are taken to gain nothing
_FEWEST, _MOST = 2, 20  # steps of an epoch that is measured
_MOST_RECORDED = 6 * FEWEST  # the same on a GPU, most of which shall be repetitions
_GAIN = 20  # times as fast as one by one, that is hoped for on a GPU
_TIMES = 3  # it is trained; the fastest counts
_EPOCH_SECONDS = 0.5  # that it may take for all lanes, if they gain nothing
_MOST_SECONDS = 5.0  # that all of it may take for a kind; else nothing is hoped of that
_MOST_BYTES = 2**30  # that weights, gradients and what the optimizer keeps may take of the CPU's
_WORTH_MORE = 1.1  # times as fast more lanes must be


@dataclass(frozen=True)
class Speed:
    """What was measured.

    ``alone``: seconds that an epoch of a configuration takes by itself; ``together``: the same if
    those that can train as one model do, where it is faster; ``slower``: the kinds for which it is
    not; ``lanes``: how many train as one model.
    """

    alone: float
    together: float
    slower: frozenset[str]
    lanes: int


def measured_speed(
    experiment: Experiment, data: Data, device: torch.device, lanes: Sequence[int]
) -> Speed | None:
    """Train configurations that a search may begin with, both ways; None: none of them can swim.

    Args:
        experiment: whose trials are built-in models.
        data: the splits.
        device: where to train.
        lanes: how many may train at once, in ascending order; more are tried as long as they gain.

    Raises:
        ValueError: when their settings do not fit the data.
    """
    drawn = first_configs(experiment, _DRAWN)
    configs = [config for config in drawn if isinstance(config, TrainConfig)]
    kinds: dict[str, list[TrainConfig]] = {}
    for config in configs:
        if not unfit(config):
            kinds.setdefault(kind_of(config), []).append(config)
    alone, saved, swimming, slower = 0.0, 0.0, 0, set[str]()
    for kind, members in sorted(kinds.items(), key=lambda item: -len(item[1]))[:_MOST_KINDS]:
        found = _measured(Probe(members, data, device), len(members) / len(configs), lanes)
        lanes = [found.lanes]  # the others have as many as the first
        alone += found.alone * len(members)
        saved += max(0.0, found.alone - found.together) * len(members)
        swimming += len(members)
        if found.together >= found.alone:
            slower.add(kind)
    if not swimming:
        return None
    alone /= swimming
    return Speed(alone, alone - saved / len(configs), frozenset(slower), lanes[-1])


class _Measured(NamedTuple):
    """Seconds for an epoch of one configuration, by itself and among many, and of how many."""

    alone: float
    together: float
    lanes: int


def _measured(probe: Probe, share: float, lanes: Sequence[int]) -> _Measured:
    """Measure a kind whose trials have a share of the lanes."""
    alone = probe.alone(_FEWEST)
    best, chosen = math.inf, lanes[0]
    for count in lanes:
        own = round(share * count)
        if own < 2 or not probe.can_afford(own, alone):
            break
        steps = probe.steps_for(own, alone)
        together = probe.together(steps, own)
        if together is None or best < _WORTH_MORE * together:
            break
        alone, best, chosen = probe.alone(steps), together, count
    return _Measured(alone * probe.steps, best * probe.steps, chosen)


class Probe:
    """Trains configurations of a kind for a few steps, with as much of an evaluation.

    Args:
        configs: the configurations.
        data: the splits.
        device: where to train.
    """

    def __init__(self, configs: Sequence[TrainConfig], data: Data, device: torch.device) -> None:
        self._configs = configs
        self._data = data
        self._device = device
        self._batch_size = min(configs[0].train.batch_size, len(data.train.targets))
        self._weights = 0
        self.steps = len(data.train.targets) / self._batch_size  # of an epoch

    def alone(self, steps: int) -> float:
        """Seconds for a step by itself."""
        training = Training(_calm(self._configs[0], 0), self._part(steps), self._device)
        self._weights = sum(held.numel() for held in training.model.parameters())
        return _fastest(training.__next__) / steps

    def can_afford(self, lanes: int, alone: float) -> bool:
        """Whether time and memory suffice for a measurement, given seconds for a step alone."""
        is_small = lanes * 4 * self._weights * 4 <= _MOST_BYTES  # four copies, of 4 bytes
        seconds = lanes * alone * _FEWEST * (1 + _TIMES)
        return seconds <= _MOST_SECONDS and (is_small or self._device.type == "cuda")

    def steps_for(self, lanes: int, alone: float) -> int:
        """How many steps a measurement takes, given seconds for a step alone."""
        steps = _EPOCH_SECONDS / (alone * lanes)
        if self._device.type == "cuda":
            return int(min(max(_FEWEST, _GAIN * steps), _MOST_RECORDED))
        return int(min(max(_FEWEST, steps), _MOST))

    def together(self, steps: int, lanes: int) -> float | None:
        """Seconds for a step of one of many; None: there is no memory for so many."""
        try:
            shoal = Shoal(self._configs[0], self._part(steps), self._device, lanes)
            for lane, config in enumerate(islice(cycle(self._configs), lanes)):
                shoal.admit(lane, _calm(config, lane))
            return _fastest(shoal.train_epoch) / (steps * lanes)
        except Exception as error:
            if is_short_of_room(error):
                return None
            raise

    def _part(self, steps: int) -> Data:
        return part_of(self._data, steps / self.steps)


def part_of(data: Data, share: float) -> Data:
    """The first samples of the training and the validation split, in proportion."""

    def first(split: Split) -> Split:
        return split.take(np.arange(max(1, round(min(1.0, share) * len(split.targets)))))

    return replace(data, train=first(data.train), validation=first(data.validation))


def _fastest(epoch: Callable[[], object]) -> float:
    """Seconds of the fastest of some epochs, after one in which all is still new.

    Of one that takes long, the first must do.
    """
    times: list[float] = []
    while len(times) <= _TIMES and sum(times) < _MOST_SECONDS / 2:
        began = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - began)
    return min(times)


def _calm(config: TrainConfig, seed: int) -> TrainConfig:
    """A training that goes on for as long as it is measured."""
    train = config.train.model_copy(update={"lr": 1e-9, "patience": None})
    epochs = {"epochs": 1000, "max_epochs": 1000}
    return config.model_copy(update={"train": train, "seed": seed, **epochs})
