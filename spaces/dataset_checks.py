"""What metric and training settings ask of a dataset, as far as it is known without its files."""

from __future__ import annotations

from collections.abc import Iterator

from spaces.experiment import Experiment
from spaces.problems import Problem
from spaces.settings.train import FOR_CLASSES, FOR_IMAGES, Train

_MANY_CLASSES = ("digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100")
_TABLES = ("linear", "diabetes")


def metric_names(experiment: Experiment) -> list[str]:
    """The metrics that a built-in model may be selected by: those of the validation split."""
    dataset = experiment.dataset
    if dataset.is_regression:
        return ["val_loss"]
    if dataset.classes is not None:
        may_be_two = len(dataset.classes) == 2
    else:
        may_be_two = dataset.name not in _MANY_CLASSES
    return ["val_accuracy", "val_f1", *(["val_auc"] if may_be_two else []), "val_loss"]


def dataset_problems(experiment: Experiment) -> Iterator[Problem]:
    """Settings that the dataset makes senseless, fixed ones and searched ones."""
    dataset = experiment.dataset
    assert isinstance(experiment.train, Train)
    searched = {} if isinstance(experiment.space, str) else experiment.space
    unfit: dict[str, str] = {}
    if dataset.is_regression:
        unfit |= dict.fromkeys(
            FOR_CLASSES, f"is for classification; {dataset.name} is a regression"
        )
    if dataset.name in _TABLES:
        unfit |= dict.fromkeys(FOR_IMAGES, f"is for images; {dataset.name} has none")
    for name, message in sorted(unfit.items()):
        if name in experiment.train.changed:
            yield Problem(f"train.{name}", message)
        for key in {name, f"train.{name}"} & searched.keys():
            yield Problem(f"space.{key}", message)
