"""Training one configuration in this process: a file's baseline, or a bundle once more."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from analysis.bundle.bundle import (
    Bundle,
    folder_of_code,
    read_bundle,
    read_expected,
    read_split,
)
from analysis.bundle.writing import write_bundle
from search.export.bundle import metrics_of, tell_left_out
from search.export.weights import parts_of, tensors_in
from search.preparation import check_fits
from search.versions import versions
from spaces.code import files_taken
from spaces.files import load_experiment, set_path
from spaces.metric import Metric
from spaces.problems import InputError
from spaces.settings.any_dataset import file_fields
from spaces.training_config import AnyConfig, TrainConfig, parse_config, resolve
from trainables.data.splits import Data, joined, load_data
from trainables.reports import EpochReport
from trainables.training import Training
from trainables.trainings import make_training
from trainables.user_code.metrics import absent_metric
from trainables.user_code.training import CodeTraining


@dataclass(frozen=True)
class Record:
    """What a bundle has on record of its training.

    ``value``: what its weights scored. ``expected``: between which values 95 of 100 further
    trainings are expected, if it was confirmed. ``split``: the fingerprints of its data.
    ``folder``: where the user's own code runs, None: in the current one.
    ``metric``: what the value is of; "": of the metric of the search. ``changed``: what is trained
    otherwise now, by path, with the recorded value and the one that replaces it.
    """

    value: float
    expected: tuple[float, float] | None
    split: Any
    folder: Path | None = None
    metric: str = ""
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def judge(self, metric: str, retrained: float) -> dict[str, Any]:
        """What ``shoal train BUNDLE --json`` prints; ``verdict`` only where it was confirmed.

        What was trained with other settings is compared, but not judged.
        """
        found = {
            "metric": metric,
            "recorded": self.value,
            "retrained": retrained,
            "difference": retrained - self.value,
        }
        if self.changed:
            changed = {path: list(values) for path, values in self.changed.items()}
            return {**found, "changed": changed}
        if self.expected is None:
            return found
        low, high = self.expected
        verdict = "inside" if low <= retrained <= high else "outside"
        if retrained == self.value:
            verdict = "equal"
        return {**found, "expected": [low, high], "verdict": verdict}


def read_config(
    spec: Path, changes: list[str], final: bool = False
) -> tuple[AnyConfig, Record | None]:
    """What ``shoal train`` shall train: a bundle's configuration, or a file's baseline.

    Args:
        spec: a bundle, its config.yaml, or an experiment file.
        changes: settings to replace, each as ``a.b=value``.
        final: train on the training and the validation split together.

    Returns:
        The configuration, and what a bundle has on record.

    Raises:
        InputError: when there is nothing to train in it.
    """
    if spec.is_dir() or spec.name == "config.yaml":
        folder = spec if spec.is_dir() else spec.parent
        data, metrics = read_bundle(folder)
        recorded = parse_config(data)
        config = _changed(recorded, changes)
        config = _as_final(config) if final else config
        record = Record(
            metrics["value"],
            read_expected(folder),
            read_split(folder),
            folder_of_code(folder),
            str(metrics.get("metric", "")),
            _differences(recorded, config),
        )
        return config, record
    experiment = load_experiment(str(spec), changes)
    if experiment.baseline is None and experiment.search_space.distributions:
        raise InputError("has no baseline, which is what shoal train trains", source=str(spec))
    config = resolve(experiment, experiment.baseline or {}, experiment.seed)
    return _as_final(config) if final else config, None


def _changed(config: AnyConfig, changes: list[str]) -> AnyConfig:
    """A bundle's configuration with some settings replaced."""
    data = config.model_dump(mode="json")
    for change in changes:
        set_path(data, change, type(config).model_fields)
    try:
        return parse_config(data)
    except InputError as error:
        raise InputError(error.problems, "--set") from None


def _as_final(config: AnyConfig) -> AnyConfig:
    if not isinstance(config, TrainConfig):
        raise InputError("is for built-in models; your own code splits its data itself", "--final")
    return config.model_copy(update={"final": True})


def _differences(recorded: AnyConfig, config: AnyConfig) -> dict[str, tuple[Any, Any]]:
    """By path what differs; where the data lie is no difference: they have their fingerprints."""
    before, now = (_leaves(held.model_dump(mode="json")) for held in (recorded, config))
    places = {f"dataset.{place}" for held in (recorded, config) for place in _file_fields(held)}
    paths = [path for path in before | now if path not in places]
    return {
        path: (before.get(path), now.get(path))
        for path in paths
        if before.get(path) != now.get(path)
    }


def _file_fields(config: AnyConfig) -> list[str]:
    return file_fields(config.dataset) if isinstance(config, TrainConfig) else []


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    parts = (_leaves(held, f"{path}.{key}" if path else key) for key, held in value.items())
    return {place: held for part in parts for place, held in part.items()}


def score_name(config: AnyConfig) -> str:
    """The metric that a training is told by: one that it has, when nothing is left to validate."""
    is_final = isinstance(config, TrainConfig) and config.final
    return "train_loss" if is_final else config.metric.name


def data_of(config: TrainConfig) -> tuple[Data, Data]:
    """The data as a search has them, and as this training has them.

    Raises:
        InputError: when they are not there.
    """
    data = load_data(config.dataset, config.split_seed)
    if not config.final:
        return data, data
    return data, joined(config.dataset, data, config.split_seed)


class Trained(NamedTuple):
    """A training that came to its end, the report that counts, and the data, if it was given any.

    With ``scope: best`` the best report counts, else the last.
    """

    report: EpochReport
    training: Training | CodeTraining
    data: Data | None


def train_here(
    config: AnyConfig, on_epoch: Callable[[EpochReport], None], split: Any = None
) -> Trained:
    """Train one configuration to its end, in this process.

    Args:
        config: what to train.
        on_epoch: is given each report.
        split: the fingerprints that its data should have, if they are known; else there is a
            warning.

    Raises:
        InputError: when the data is not there, the model does not fit, or the code yields no such
            metric.
    """
    data = None
    if isinstance(config, TrainConfig):
        searched, data = data_of(config)
        if split is not None and split not in (searched.fingerprint, data.fingerprint):
            warnings.warn("the data here are not those that the bundle was made with", stacklevel=2)
        check_fits(config, data)
    torch.set_num_threads(config.threads)
    has_gpu = config.device == "auto" and torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    training = make_training(config, data, device)
    name = score_name(config)
    metric = config.metric if name == config.metric.name else Metric(name=name)
    reports: list[EpochReport] = []
    for report in training:
        if name not in report.metrics:
            raise InputError(absent_metric(name, report.epoch, report.metrics))
        on_epoch(report)
        if not math.isfinite(report.metrics[name]):
            return Trained(report, training, data)
        reports.append(report)
    if (counting := metric.counting(reports)) is None:
        raise InputError("the code ended before its first epoch")
    return Trained(counting, training, data)


_FINAL = (
    "Trained by `shoal train --final` on the training and the validation split together ({samples} "
    "samples), for {epochs} epochs. **There is no validation score**: nothing was left to validate "
    "on. What to expect of it is what the same settings scored before, on the validation split."
)


def save_training(config: AnyConfig, trained: Trained, target: Path) -> None:
    """Write a training of this process as a bundle."""
    report, training, data = trained
    inputs, split, origin = None, None, "Trained by `shoal train`."
    if data is not None:
        inputs, split = data.spec, data.fingerprint
        if isinstance(config, TrainConfig) and config.final:
            origin = _FINAL.format(samples=f"{len(data.train):,}", epochs=report.epoch)
    bundle = Bundle(
        config=config.model_copy(update={"epochs": report.epoch}).model_dump(mode="json"),
        metrics=metrics_of(score_name(config), report.epoch, report.metrics),
        versions=versions(),
        origin=origin,
        inputs=None if inputs is None else inputs.plain,
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
