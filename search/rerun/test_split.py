"""The test split, read once for a configuration that was measured, and never to choose by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from analysis.record.events import Tested
from analysis.record.folder import RunFolder
from analysis.record.trials import Trial
from search.export.weights import weights_of
from spaces.experiment import Experiment
from spaces.settings.any_dataset import AnyDataset
from spaces.settings.own_data import OwnData
from spaces.training_config import TrainConfig, resolve
from trainables.data.sources import data_root
from trainables.data.splits import Data, load_test, to_device
from trainables.training import Training


def has_test_split(dataset: AnyDataset) -> bool:
    """Whether there is one: built-in datasets have, folders of images and own data may have."""
    if isinstance(dataset, OwnData):
        return dataset.test is not None
    return dataset.name != "image_folder" or (data_root(dataset) / "test").is_dir()


def read_test(
    experiment: Experiment, folder: RunFolder, trial: int, reruns: Sequence[Trial], data: Data
) -> Tested:
    """Measure the weights of some reruns on the test split.

    Args:
        experiment: with a built-in model.
        folder: of the reruns.
        trial: whose configuration they have.
        reruns: one for each seed; one that was lost counts as NaN.
        data: the splits that they were trained with.

    Returns:
        The event: the accuracy (or, as the metric of the search says, the loss) of each.

    Raises:
        InputError: when the dataset has no test split, or a checkpoint is gone.
    """
    test = load_test(experiment.dataset, data)
    has_gpu = experiment.resources.gpus != 0 and torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    split = to_device(test, data, device)
    name = experiment.metric.name.removeprefix("val_")
    scores = []
    for rerun in reruns:
        report = rerun.scored(experiment.metric)
        if report is None or rerun.value(experiment.metric) is None:
            scores.append(math.nan)
            continue
        config = resolve(experiment, rerun.params, rerun.seed, rerun.settings)
        assert isinstance(config, TrainConfig)
        kept = weights_of(folder, experiment, rerun, config, report.epoch, data.spec)
        training = Training(config, data, device)
        training.model.load_state_dict(dict(kept.weights))
        scores.append(training.evaluate(split).get(name, math.nan))
    seeds = [rerun.seed for rerun in reruns]
    return Tested(
        trial=trial, metric=f"test_{name}", seeds=seeds, scores=scores, samples=len(split)
    )
