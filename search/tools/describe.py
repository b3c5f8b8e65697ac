"""What a file says, before anything is trained: the network, the space, what it can cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.display.numbers import number
from analysis.display.plots import draw_images
from search.control.budget import grid_size, most_trials
from search.plan.simulate import simulated_epochs
from spaces.experiment import Experiment
from spaces.parameters import Choice, Params, describe
from spaces.problems import InputError
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import load_data, shape_of
from trainables.models.families import count_parameters, empty_model

IMAGES = 25


def describe_experiment(experiment: Experiment) -> dict[str, Any]:
    """What ``shoal show --json`` prints; needs no data for a built-in dataset.

    Raises:
        InputError: when the model does not fit the data.
    """
    network = _network(experiment, first_params(experiment))
    budget = experiment.budget.model_dump(exclude_none=True)
    size = grid_size(experiment)
    if size is not None:
        budget["grid"] = size
    if experiment.repeats > 1:
        budget["repeats"] = experiment.repeats
    return {
        "experiment": experiment.shown(),
        "parameters": network["parameters"],
        "layers": network["layers"],
        "space": describe_space(experiment),
        "budget": {**budget, "most_epochs": most_epochs(experiment)},
        "variants": _variants(experiment),
    }


def describe_space(experiment: Experiment) -> list[dict[str, Any]]:
    """For each parameter its name, range, baseline and condition; None where it has none."""
    space = experiment.search_space
    baseline = experiment.baseline or {}
    conditions = {name: parameter.when for name, parameter in space.parameters.items()}
    return [
        {
            "name": name,
            "range": describe(distribution),
            "baseline": baseline.get(name),
            "when": conditions.get(name),
        }
        for name, distribution in space.distributions.items()
    ]


def first_params(experiment: Experiment) -> Params:
    """The baseline, or where there is none a configuration drawn at random."""
    if experiment.baseline is not None:
        return experiment.baseline
    return experiment.search_space.samples(1, experiment.seed)[0]


def most_epochs(experiment: Experiment) -> int | None:
    """The most epochs that the budget can cost; None where it sets no bound.

    With ASHA it takes an unlucky order of arrivals, each trial better than all before it.
    """
    trials, epochs = most_trials(experiment, experiment.budget), experiment.budget.epochs
    bounds = [] if epochs is None else [epochs]
    if trials is not None:
        bounds.append(trials * experiment.scheduler.max_epochs)
    return min(bounds, default=None)


def cost_in_words(experiment: Experiment) -> str:
    """The most epochs that a search can cost, and how many it may take."""
    most, trials = most_epochs(experiment), experiment.budget.trials
    if most is None:
        return "no limit on epochs"
    scheduler, cost = experiment.scheduler, f"at most {most} epochs"
    if trials is None or scheduler.name == "none":
        return cost
    if scheduler.name == "freeze_thaw":
        return f"{cost} (about {min(most, round(trials * scheduler.average_epochs))})"
    epochs = simulated_epochs(experiment)
    low, high = round(epochs.low), min(most, round(epochs.high))
    if low >= high:
        return cost
    why = "the more, the more later trials are better than earlier ones"
    return f"{cost} (about {low} to {high}: {why})"


def _network(experiment: Experiment, params: Params) -> dict[str, Any]:
    if experiment.trainable is not None:
        return {"parameters": None, "layers": []}
    config = resolve(experiment, params, seed=0)
    assert isinstance(config, TrainConfig)
    input_shape, outputs = shape_of(config.dataset, config.split_seed)
    try:
        model = empty_model(config.model, input_shape, outputs, seed=0)
    except ValueError as error:
        raise InputError(f"model: {error}") from None
    layers = [
        {"layer": str(layer), "parameters": count_parameters(layer)} for layer in model.children()
    ]
    return {"parameters": count_parameters(model), "layers": layers}


def _variants(experiment: Experiment) -> list[dict[str, Any]]:
    """The networks that a named choice picks among, each with its number of parameters."""
    rows = []
    base = first_params(experiment)
    space = experiment.search_space
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Choice) and parameter.settings is not None:
            for choice in parameter.choices:
                enabling = {} if name in base else space.enabling(name)
                chosen = space.applying({**base, **enabling, name: choice})
                network = _network(experiment, chosen)
                rows.append(
                    {
                        "parameter": name,
                        "name": str(choice),
                        "settings": parameter.settings[str(choice)],
                        "parameters": network["parameters"],
                    }
                )
    return rows


def draw_training_images(experiment: Experiment, path: Path) -> int:
    """Draw the first training images with their labels; returns how many.

    Raises:
        InputError: when the experiment's data are no images, or not there.
    """
    if experiment.trainable is not None:
        raise InputError("your own code has its own data; there are no images to draw")
    data = load_data(experiment.dataset, experiment.seed)
    if len(data.input_shape) != 3:
        raise InputError(f"the data of {experiment.dataset.name} are no images")
    rows = np.sort(np.random.default_rng(experiment.seed).permutation(len(data.train))[:IMAGES])
    chosen = data.train.take(rows)
    labels = [_label(target, data.class_names) for target in chosen.targets]
    try:
        draw_images(chosen.inputs, labels, path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be written: {error}", source="--images") from None
    return len(rows)


def _label(target: Any, class_names: Sequence[str]) -> str:
    return class_names[target] if class_names else ", ".join(map(number, target.tolist()))
