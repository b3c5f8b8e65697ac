"""What metric and training settings ask of a dataset, as far as it is known without its files."""

from __future__ import annotations

from collections.abc import Iterator

from spaces.experiment import Experiment
from spaces.parameters import Choice
from spaces.problems import Problem
from spaces.settings.train import FOR_CLASSES, FOR_IMAGES, Train

_MANY_CLASSES = ("digits", "mnist", "fashion_mnist", "kmnist", "cifar10", "cifar100")
_TABLES = ("linear", "diabetes", "table")


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
    unfit: dict[str, str] = {}
    if dataset.is_regression:
        unfit |= dict.fromkeys(FOR_CLASSES, f"for classification; {dataset.name} is a regression")
    if dataset.name in _TABLES:
        unfit |= dict.fromkeys(FOR_IMAGES, f"for images; {dataset.name} has none")
    for path, name in _fields(experiment):
        field = name.removeprefix("train.").partition(".")[0]
        if field in unfit:
            yield Problem(path, f"{field} is {unfit[field]}")


def _fields(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """The fields that are set or searched, each with its place."""
    assert isinstance(experiment.train, Train)
    yield from ((f"train.{name}", name) for name in sorted(experiment.train.changed))
    if isinstance(experiment.space, str):
        return
    for name, parameter in experiment.space.items():
        yield f"space.{name}", name
        settings = parameter.settings if isinstance(parameter, Choice) else None
        for key, fields in (settings or {}).items():
            yield from ((f"space.{name}.{key}", field) for field in fields)
