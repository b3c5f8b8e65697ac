"""Training one configuration in this process: a file's baseline, or a bundle once more."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from analysis.bundle import (
    Bundle,
    folder_of_code,
    read_bundle,
    read_expected,
    read_split,
    write_bundle,
)
from search.take_home import inputs_of, metrics_of, tell_left_out
from search.versions import versions
from search.weights import parts_of, tensors_in
from spaces.code import files_taken
from spaces.files import load_experiment
from spaces.problems import InputError
from trainables.config import AnyConfig, TrainConfig, parse_config, resolve
from trainables.data import load_data
from trainables.own_code import CodeTraining, absent_metric
from trainables.training import EpochReport, Training
from trainables.tune_plain import make_training


@dataclass(frozen=True)
class Record:
    """What a bundle has on record of its training.

    ``value``: what its weights scored. ``expected``: between which values 95 of 100 further
    trainings are expected, if it was confirmed. ``split``: the fingerprints of its data.
    ``folder``: where the user's own code runs, None: in the current one.
    """

    value: float
    expected: tuple[float, float] | None
    split: Any
    folder: Path | None = None

    def judge(self, metric: str, retrained: float) -> dict[str, Any]:
        """What ``shoal train BUNDLE --json`` prints; ``verdict`` only where it was confirmed."""
        found = {
            "metric": metric,
            "recorded": self.value,
            "retrained": retrained,
            "difference": retrained - self.value,
        }
        if self.expected is None:
            return found
        low, high = self.expected
        verdict = "inside" if low <= retrained <= high else "outside"
        if retrained == self.value:
            verdict = "equal"
        return {**found, "expected": [low, high], "verdict": verdict}


def read_config(spec: Path, changes: list[str]) -> tuple[AnyConfig, Record | None]:
    """What ``shoal train`` shall train: a bundle's configuration, or a file's baseline.

    Returns:
        The configuration, and what a bundle has on record.

    Raises:
        InputError: when there is nothing to train in it.
    """
    if spec.is_dir() or spec.name == "config.yaml":
        if changes:
            raise InputError("is for experiment files; edit the bundle's config.yaml", "--set")
        folder = spec if spec.is_dir() else spec.parent
        data, metrics = read_bundle(folder)
        place = folder_of_code(folder)
        record = Record(metrics["value"], read_expected(folder), read_split(folder), place)
        return parse_config(data), record
    experiment = load_experiment(str(spec), changes)
    if experiment.baseline is None and experiment.search_space.distributions:
        raise InputError("has no baseline, which is what shoal train trains", source=str(spec))
    return resolve(experiment, experiment.baseline or {}, experiment.seed), None


def train_here(
    config: AnyConfig, on_epoch: Callable[[EpochReport], None], split: Any = None
) -> tuple[EpochReport, Training | CodeTraining]:
    """Train one configuration to its end, in this process.

    Args:
        config: what to train.
        on_epoch: is given each report.
        split: the fingerprints that its data should have, if they are known; else there is a
            warning.

    Returns:
        The report that counts (the last, or with ``scope: best`` the best), and the training.

    Raises:
        InputError: when the data is not there, or the code yields no such metric.
    """
    data = None
    if isinstance(config, TrainConfig):
        data = load_data(config.dataset, config.split_seed)
        if split is not None and split != data.fingerprint:
            warnings.warn("the data here are not those that the bundle was made with", stacklevel=2)
    torch.set_num_threads(config.threads)
    has_gpu = config.device == "auto" and torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    training = make_training(config, data, device)
    metric = config.metric
    counting: EpochReport | None = None
    for report in training:
        if metric.name not in report.metrics:
            raise InputError(absent_metric(metric.name, report.epoch, report.metrics))
        on_epoch(report)
        if not math.isfinite(report.metrics[metric.name]):
            return report, training
        is_better = counting is None or metric.better(
            report.metrics[metric.name], counting.metrics[metric.name]
        )
        counting = report if metric.scope == "last" or is_better else counting
    if counting is None:
        raise InputError("the code ended before its first epoch")
    return counting, training


def save_training(
    config: AnyConfig, report: EpochReport, training: Training | CodeTraining, target: Path
) -> None:
    """Write a training of this process as a bundle."""
    inputs, split = inputs_of(config), None
    if isinstance(config, TrainConfig):
        split = load_data(config.dataset, config.split_seed).fingerprint
    bundle = Bundle(
        config=config.model_copy(update={"epochs": report.epoch}).model_dump(mode="json"),
        metrics=metrics_of(config.metric.name, report.epoch, report.metrics),
        versions=versions(),
        origin="Trained by `shoal train`.",
        inputs=None if inputs is None else inputs.model_dump(mode="json"),
        split=split,
    )
    if isinstance(training, CodeTraining):
        state = training.saved_state(report.epoch)
        code = files_taken(training.config.trainable)
        bundle = replace(bundle, code=code, parts=parts_of(state))
        weights: Mapping[str, torch.Tensor] = tensors_in(state)
    else:
        weights = training.weights()
    tell_left_out(write_bundle(target, bundle, weights))
