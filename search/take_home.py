"""Taking the best home: a bundle from a run, and training one configuration in this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from analysis.bundle import Bundle, check_target, read_bundle, write_bundle
from analysis.run import open_run
from analysis.trials import Trial
from search.program import make_programs
from search.versions import versions
from search.weights import tensors_in, weights_of
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.problems import InputError, unknown_name
from spaces.sections import parse_section, problems_of
from trainables.config import AnyConfig, TrainConfig, parse_config, resolve
from trainables.data import InputSpec, input_spec, load_data
from trainables.own_code import CodeTraining
from trainables.training import EpochReport, Training
from trainables.tune_plain import make_training


def export_best(run: Path, target: Path, with_programs: bool = True) -> Bundle:
    """Write the best trial of a run as a bundle.

    Args:
        run: the run's folder.
        target: a new or empty folder.
        with_programs: whether a built-in model is exported as ``model.pt2`` (and
            ``model.onnx``, where that extra is installed), too.

    Raises:
        InputError: when the run has no trial with a value, or its checkpoint is gone.
    """
    folder, experiment, trials = open_run(run)
    ranked = trials.ranked(experiment.metric)
    if not ranked:
        raise InputError(f"{run} has no trial with a value of {experiment.metric.name} yet")
    trial = ranked[0]
    report = trial.scored(experiment.metric)
    assert report is not None
    config = _config_of(experiment, trial).model_copy(update={"epochs": report.epoch})
    weights = weights_of(folder, experiment, trial, config, report.epoch)
    assert trials.start is not None
    inputs = _inputs_of(config, trials.start.inputs)
    programs = {}
    if with_programs and isinstance(config, TrainConfig) and inputs is not None:
        check_target(target)
        programs = make_programs(config, inputs, weights)
    bundle = Bundle(
        config=config.model_dump(mode="json"),
        metrics=_metrics(experiment.metric.name, report.epoch, report.metrics),
        versions=trials.start.versions,
        origin=f"The best of {len(trials)} trials of `{experiment.name}` (trial {trial.number}, "
        f"{trial.state}), by {experiment.metric.name} on the validation split.",
        inputs=None if inputs is None else inputs.model_dump(mode="json"),
        programs=programs,
    )
    write_bundle(target, bundle, weights)
    return bundle


def _inputs_of(config: AnyConfig, recorded: dict[str, Any] | None = None) -> InputSpec | None:
    """What a built-in model takes and gives; runs of earlier versions have not recorded it."""
    if not isinstance(config, TrainConfig):
        return None
    if recorded is None:
        return input_spec(config.dataset, config.split_seed)
    return parse_section(InputSpec, recorded, ("experiment", "inputs"))


def _config_of(experiment: Experiment, trial: Trial) -> AnyConfig:
    """What a trial trained; a journal that somebody edited may hold what nothing can train."""
    space = experiment.search_space
    if space.parameters:
        space.check(trial.number, trial.params)
    try:
        return resolve(experiment, trial.params, trial.seed)
    except ValidationError as error:
        raise InputError(problems_of(error), source=f"trial {trial.number}") from None
    except ValueError as error:
        raise InputError(str(error), source=f"trial {trial.number}") from None


def _metrics(name: str, epoch: int, metrics: Mapping[str, float]) -> dict[str, Any]:
    finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
    return {"metric": name, "value": finite[name], "epoch": epoch, "metrics": finite}


def read_config(spec: Path, changes: list[str]) -> tuple[AnyConfig, dict[str, Any] | None]:
    """What ``shoal train`` shall train: a bundle's configuration, or a file's baseline.

    Returns:
        The configuration, and the metrics that a bundle has on record.

    Raises:
        InputError: when there is nothing to train in it.
    """
    if spec.is_dir() or spec.name == "config.yaml":
        if changes:
            raise InputError("is for experiment files; edit the bundle's config.yaml", "--set")
        data, recorded = read_bundle(spec if spec.is_dir() else spec.parent)
        return parse_config(data), recorded
    experiment = load_experiment(str(spec), changes)
    if experiment.baseline is None and experiment.search_space.distributions:
        raise InputError("has no baseline, which is what shoal train trains", source=str(spec))
    return resolve(experiment, experiment.baseline or {}, experiment.seed), None


def train_here(
    config: AnyConfig, on_epoch: Callable[[EpochReport], None]
) -> tuple[EpochReport, Training | CodeTraining]:
    """Train one configuration to its end, in this process.

    Args:
        config: what to train.
        on_epoch: is given each report.

    Returns:
        The report that counts (the last, or with ``scope: best`` the best), and the training.

    Raises:
        InputError: when the data is not there, or the code yields no such metric.
    """
    data = None
    if isinstance(config, TrainConfig):
        data = load_data(config.dataset, config.split_seed)
    torch.set_num_threads(config.threads)
    has_gpu = config.device == "auto" and torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    training = make_training(config, data, device)
    metric = config.metric
    counting: EpochReport | None = None
    for report in training:
        if metric.name not in report.metrics:
            raise InputError(f"metric.name: {unknown_name('metric', metric.name, report.metrics)}")
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
    inputs = _inputs_of(config)
    bundle = Bundle(
        config=config.model_copy(update={"epochs": report.epoch}).model_dump(mode="json"),
        metrics=_metrics(config.metric.name, report.epoch, report.metrics),
        versions=versions(),
        origin="Trained by `shoal train`.",
        inputs=None if inputs is None else inputs.model_dump(mode="json"),
    )
    if isinstance(training, CodeTraining):
        weights = tensors_in(training.saved_state(report.epoch))
    else:
        weights = training.weights()
    write_bundle(target, bundle, weights)
