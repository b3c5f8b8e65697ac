"""How fast the networks train: one after another, in several processes, and as shoals.

All rates are configuration-epochs per second, each with its evaluation.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.gpu_parts.recording import Row, Setting
from benchmarks.gpu_parts.subjects import SUBJECTS, Subject
from benchmarks.hardware import summarize
from benchmarks.rates import Processes, one_after_another, rate
from spaces.training_config import TrainConfig
from trainables.data.splits import Data
from trainables.shoal import repeated
from trainables.shoal.feed import Feeds
from trainables.shoal.shoal import Shoal
from trainables.training import Training

_SECONDS = 2.0  # of rounds, after a first one that is not counted
_MOST_ROUNDS = 20
_ROUNDS = 3  # of processes
_ALONE, _QUICK_ALONE = 8, 2  # trainings that take turns
_LANES, _QUICK_LANES = (8, 16, 32, 64, 128), (2,)
_UNRECORDED = 64  # lanes
_PROCESSES, _QUICK_PROCESSES = (1, 2, 4, 8), (1, 2)
_PRECISIONS = ("float32", "bfloat16")

Measurements = Iterator[tuple[Row, Callable[[], Row]]]


def one_by_one(setting: Setting) -> Measurements:
    """``Training`` after ``Training``, in one process."""
    for subject, precision in itertools.product(SUBJECTS, _PRECISIONS):
        count = _QUICK_ALONE if setting.is_quick else _ALONE
        yield from _trainings(setting, subject, count, precision=precision, compile=False)


def compiled(setting: Setting) -> Measurements:
    """The same by torch.compile, one training of each network: each norm is compiled by itself."""
    subjects = SUBJECTS[:1] if setting.is_quick else SUBJECTS
    for subject, precision in itertools.product(subjects, _PRECISIONS):
        yield from _trainings(setting, subject, 1, precision=precision, compile=True)


def _trainings(setting: Setting, subject: Subject, count: int, **train: Any) -> Measurements:
    configs = subject.configs(setting, count, **train)
    yield {"model": subject.name, **train}, partial(_measure_trainings, setting, subject, configs)


def _measure_trainings(setting: Setting, subject: Subject, configs: Sequence[TrainConfig]) -> Row:
    device, data = _ready_device(setting), subject.data(setting)
    trainings = [Training(config, data, device) for config in configs]
    begun = time.perf_counter()
    one_after_another(trainings[:1])
    first = time.perf_counter() - begun
    rates = _rates(partial(one_after_another, trainings), setting)
    return {"first_epoch_seconds": first, **_figures(rates, configs[0], data, together=1)}


def processes(setting: Setting) -> Measurements:
    """Several processes that share the GPU, and train one after another: the plain engine."""
    counts = _QUICK_PROCESSES if setting.is_quick else _PROCESSES
    with Processes(max(counts), setting.start_method) as held:
        for subject, count in itertools.product(SUBJECTS, counts):
            what = {"model": subject.name, "precision": "float32", "processes": count}
            yield what, partial(_measure_processes, setting, subject, held, count)


def _measure_processes(setting: Setting, subject: Subject, held: Processes, count: int) -> Row:
    trainings, rounds = (_QUICK_ALONE, 1) if setting.is_quick else (_ALONE, _ROUNDS)
    configs, data = subject.configs(setting, trainings), subject.data(setting)
    rates = held.rates(configs, data, torch.device(setting.device), count, rounds)
    return _figures(rates, configs[0], data, together=1)


def shoals(setting: Setting) -> Measurements:
    """Shoals of each network, of more and more lanes."""
    lanes = _QUICK_LANES if setting.is_quick else _LANES
    for precision, subject in itertools.product(_PRECISIONS, SUBJECTS):
        what = {"model": subject.name, "precision": precision}
        for count in lanes:
            configs = subject.configs(setting, count, precision=precision)
            yield {**what, "lanes": count}, partial(_measure_shoal, setting, subject, configs)


def unrecorded(setting: Setting) -> Measurements:
    """The same where a GPU is handed each operation by itself, see ``Repeated``."""
    count = _QUICK_LANES[-1] if setting.is_quick else _UNRECORDED
    for subject in SUBJECTS:
        configs = subject.configs(setting, count)
        what = {"model": subject.name, "precision": "float32", "lanes": count}
        yield what, partial(_measure_unrecorded, setting, subject, configs)


def _measure_unrecorded(setting: Setting, subject: Subject, configs: Sequence[TrainConfig]) -> Row:
    with patch.object(repeated, "FEWEST", sys.maxsize):
        return _measure_shoal(setting, subject, configs)


def _measure_shoal(setting: Setting, subject: Subject, configs: Sequence[TrainConfig]) -> Row:
    device, data = _ready_device(setting), subject.data(setting)
    feeds = Feeds.of(data, device)  # once per device, however many lanes there are
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    shoal = Shoal(configs[0], data, device, len(configs), feeds)
    for lane, config in enumerate(configs):
        shoal.admit(lane, config)
    rates = _rates(lambda: len(shoal.train_epoch()), setting)
    row = _figures(rates, configs[0], data, together=len(configs))
    if device.type == "cuda":
        most = torch.cuda.max_memory_allocated(device)
        row["bytes_per_lane"] = (most - before) / len(configs)
    return row


def _ready_device(setting: Setting) -> torch.device:
    """The device, rid of what the measurement before has left."""
    if setting.device == "cuda":
        torch.cuda.init()  # or it knows of no memory yet
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return torch.device(setting.device)


def _rates(work: Callable[[], int], setting: Setting) -> list[float]:
    """The rates of a piece of work, round by round; each ends when the device has done it."""
    work()
    found: list[float] = []
    begun = time.perf_counter()
    while len(found) < (1 if setting.is_quick else _MOST_ROUNDS):
        found.append(rate(work))
        if time.perf_counter() - begun > _SECONDS:
            break
    return found


def _figures(
    rates: Sequence[float], config: TrainConfig, data: Data, together: int
) -> dict[str, Any]:
    """The rates, and what a step took, with its share of the evaluation.

    Args:
        rates: of each round.
        config: of any of the trainings.
        data: on which.
        together: how many take each step at once.
    """
    steps = -(-len(data.train) // config.train.batch_size)
    rate = summarize(rates)
    seconds = together / (float(rate["median"]) * steps)
    return {"images": len(data.train), "rate": rate, "seconds_per_step": seconds}
