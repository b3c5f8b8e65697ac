"""How fast configurations train as one model, and one after another: measured in a few steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import numpy as np
import torch

from search.transport.first_config import first_configs
from spaces.experiment import Experiment
from spaces.training_config import TrainConfig
from trainables.data.sources import Split
from trainables.data.splits import Data
from trainables.room import is_short_of_room
from trainables.shoal.kind import kind_of, unfit
from trainables.shoal.shoal import Shoal
from trainables.training import Training

_MOST_KINDS = 3  # that are measured; the others are taken to be like them
_MOST_SECONDS = 1.0  # for an epoch of all lanes, if they gain nothing
_FEWEST, _MOST = 2, 20  # steps of such an epoch
_TIMES = 3  # it is trained; the fastest counts
_WORTH_MORE = 1.1  # times as fast twice as many lanes must be


@dataclass(frozen=True)
class Speed:
    """What was measured.

    ``alone``: seconds that an epoch of a configuration takes by itself; ``together``: its share of
    an epoch of many, trained as one model where that is faster; ``slower``: the kinds for which it
    is not; ``lanes``: how many trained as one model.
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
        lanes: how many may train as one model, in ascending order; more are tried as long as they
            gain.

    Raises:
        ValueError: when their settings do not fit the data.
    """
    configs = [config for config in first_configs(experiment) if isinstance(config, TrainConfig)]
    kinds: dict[str, list[TrainConfig]] = {}
    for config in configs:
        if not unfit(config):
            kinds.setdefault(kind_of(config), []).append(config)
    most_common = sorted(kinds.values(), key=len, reverse=True)[:_MOST_KINDS]
    if not most_common:
        return None
    measured = sum(map(len, most_common))
    alone, together, slower = 0.0, 0.0, set[str]()
    for members in most_common:
        one, share, count = _seconds(members, data, device, lanes)
        lanes = [number for number in lanes if number <= count]
        alone += one * len(members) / measured
        together += min(one, share) * len(members) / measured
        if share >= one:
            slower.add(kind_of(members[0]))
    swim = sum(map(len, kinds.values())) / len(configs)
    return Speed(alone, swim * together + (1 - swim) * alone, frozenset(slower), lanes[-1])


def _seconds(
    configs: Sequence[TrainConfig], data: Data, device: torch.device, lanes: Sequence[int]
) -> tuple[float, float, int]:
    """How long an epoch of one takes by itself, its share of an epoch of many, and of how many."""
    one, batch_size = _calm(configs[0], 0), configs[0].train.batch_size
    few = _part(data, _FEWEST * batch_size)
    step = _fastest(_alone(one, few, device)) / math.ceil(len(few.train.targets) / batch_size)
    steps = int(min(max(_FEWEST, _MOST_SECONDS / (step * lanes[0])), _MOST))
    part = _part(data, steps * batch_size)
    whole = len(data.train.targets) / len(part.train.targets)
    alone = whole * _fastest(_alone(one, part, device))
    found = _share(configs, part, device, lanes[0]), lanes[0]
    for count in lanes[1:]:
        try:
            share = _share(configs, part, device, count)
        except Exception as error:
            if is_short_of_room(error):
                break
            raise
        if found[0] < _WORTH_MORE * share:
            break
        found = share, count
    return alone, whole * found[0], found[1]


def _share(configs: Sequence[TrainConfig], data: Data, device: torch.device, lanes: int) -> float:
    """How long an epoch of many takes, for each."""
    shoal = Shoal(configs[0], data, device, lanes)
    for lane, config in enumerate(islice(cycle(configs), lanes)):
        shoal.admit(lane, _calm(config, lane))
    return _fastest(shoal.train_epoch) / lanes


def _alone(config: TrainConfig, data: Data, device: torch.device) -> Callable[[], object]:
    return Training(config, data, device).__next__


def _fastest(epoch: Callable[[], object]) -> float:
    """Seconds of the fastest of some epochs, after one in which all is still new."""
    epoch()
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        epoch()
        times.append(time.perf_counter() - began)
    return min(times)


def _calm(config: TrainConfig, seed: int) -> TrainConfig:
    """A training that goes on for as long as it is measured."""
    train = config.train.model_copy(update={"lr": 1e-9, "patience": None})
    epochs = {"epochs": 1000, "max_epochs": 1000}
    return config.model_copy(update={"train": train, "seed": seed, **epochs})


def _part(data: Data, samples: int) -> Data:
    """The first samples of both splits, in proportion."""
    share = min(1.0, samples / len(data.train.targets))

    def first(split: Split) -> Split:
        return split.take(np.arange(max(1, round(share * len(split.targets)))))

    return replace(data, train=first(data.train), validation=first(data.validation))
