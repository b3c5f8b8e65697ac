"""What a file says that may not be what is meant: no mistakes, but worth a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spaces.directions import usual_mode
from spaces.experiment import Experiment
from spaces.parameters import Choice
from spaces.problems import printable
from spaces.settings.fields import is_float_field
from spaces.settings.own_data import Table
from spaces.settings.targets import whole_classes


def notes_on(experiment: Experiment, data: Mapping[str, Any]) -> Iterator[str]:
    """A line for each, with its place.

    Args:
        experiment: what was read.
        data: what the file holds, as plain data.
    """
    space = data.get("space")
    if isinstance(space, Mapping) and experiment.sampler.name != "grid":  # a grid needs choices
        for name, held in space.items():
            if isinstance(held, list):
                yield from _two_ends(experiment, str(name))
    if experiment.trainable is None and "dataset" not in data:
        yield f"dataset: left out, so the data is {experiment.dataset.name}, which is built in"
    if (told := _whole_numbers_as_classes(experiment, data.get("dataset"))) is not None:
        yield told
    metric = experiment.metric
    if metric.mode is not None and metric.mode != (usual := usual_mode(metric.name)) and usual:
        better = "lower" if usual == "min" else "higher"
        yield (
            f"metric.mode: {metric.mode}, although {better} values of {metric.name} are usually "
            f"the better ones (mode: {usual})"
        )


def _whole_numbers_as_classes(experiment: Experiment, section: Any) -> str | None:
    """That whole numbers of a table were taken for classes, where the file does not say so."""
    dataset = experiment.dataset
    if not isinstance(dataset, Table) or dataset.is_regression or not isinstance(section, Mapping):
        return None
    if section.get("task") is not None or (count := whole_classes(dataset)) <= 2:
        return None
    return (
        f"dataset.target: {count} classes of {printable(dataset.target)!r}, whose values are whole "
        "numbers; for a regression write task: regression"
    )


def _two_ends(experiment: Experiment, name: str) -> Iterator[str]:
    """A list of two numbers that somebody may take for a range."""
    assert isinstance(experiment.space, dict)
    parameter = experiment.space[name]
    if not isinstance(parameter, Choice) or len(parameter.choices) != 2:
        return
    low, high = parameter.choices
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
    if not are_numbers or not low < high:  # type: ignore[operator]
        return
    is_own_code = experiment.trainable is not None
    if (
        not (isinstance(low, float) or isinstance(high, float))
        if is_own_code
        else not is_float_field(name)
    ):
        return
    yield (
        f"space.{name}: a list is choices: only {low} and {high} are tried, nothing between; "
        f"a range is {{low: {low}, high: {high}}}, with log: true for orders of magnitude "
        f"(if two choices are meant: {{choices: [{low}, {high}]}})"
    )
