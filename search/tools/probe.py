"""``shoal probe``: how signal and gradient travel through untrained models of a space."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from optuna.distributions import CategoricalDistribution

from analysis.display.plots import Line, Panel
from search.tools.describe import first_params
from spaces.experiment import Experiment
from spaces.parameters import Params
from spaces.problems import InputError, unknown_name
from spaces.seeds import derive_seed
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data, load_data
from trainables.diagnostics.probes import MEASURES
from trainables.training import Training

FIELDS = ("init", "activation")
SPREADS = {
    "activation_std_across_batch": "activations: spread across the batch",
    "gradient_std_across_batch": "gradients: spread across the batch",
}


@dataclass(frozen=True)
class Probed:
    """One kind of model: ``values`` of the probed fields, ``others`` of the space's other ones.

    ``layers``: from the first on. Each has its name and the measures of
    ``trainables.diagnostics.probes.Signals``, as medians over the seeds.
    """

    values: Params
    others: Params
    layers: list[dict[str, Any]]

    def mean(self, measure: str) -> float | None:
        """The mean over the layers that have the measure, None where none has."""
        found = [layer[measure] for layer in self.layers if layer[measure] is not None]
        return float(np.mean(found)) if found else None


def probe_space(experiment: Experiment, fields: Sequence[str], seeds: int) -> list[Probed]:
    """Measure untrained models for every combination of some fields; the rest is the baseline's.

    Args:
        experiment: gives data, space and baseline.
        fields: choices of the space; none: init and activation, as far as they vary.
        seeds: so many models are drawn for each combination.

    Raises:
        InputError: when a field is no choice of the space, the fields never apply together, or
            the data is not there.
    """
    if experiment.trainable is not None:
        raise InputError("is for built-in models; your own code has its own layers", "probe")
    choices = _choices(experiment, fields)
    base = first_params(experiment)
    data = load_data(experiment.dataset, experiment.seed)
    probed = []
    for combination in itertools.product(*choices.values()):
        values = dict(zip(choices, combination, strict=True))
        params = experiment.search_space.around({**base, **values}, experiment.seed)
        if values.items() <= params.items():  # a condition may exclude it
            others = {name: params[name] for name in params.keys() - values.keys()}
            measured = _medians(experiment, params, data, seeds)
            probed.append(Probed(values, dict(sorted(others.items())), measured))
    if not probed:
        raise InputError(f"{', '.join(choices)} never apply together in this space", "--by")
    return probed


def shared_values(probed: Sequence[Probed]) -> Params:
    """The values of other fields that all the models have in common."""
    first = probed[0].others.items()
    return {k: v for k, v in first if all((k, v) in one.others.items() for one in probed)}


def _choices(experiment: Experiment, fields: Sequence[str]) -> dict[str, Sequence[Any]]:
    distributions = experiment.search_space.distributions
    choices = {
        name: distribution.choices
        for name, distribution in distributions.items()
        if isinstance(distribution, CategoricalDistribution)
    }
    if not fields:
        fields = [name for name in FIELDS if name in choices]
        if not fields:
            others = f"; other choices: {', '.join(choices)}" if choices else ""
            raise InputError(f"neither init nor activation varies in this space{others}", "--by")
    for name in fields:
        if name not in distributions:
            raise InputError(unknown_name("parameter", name, distributions), "--by")
        if name not in choices:
            raise InputError(f"{name} is a range; a probe needs a choice", "--by")
    return {name: choices[name] for name in fields}


def _medians(
    experiment: Experiment, params: Params, data: Data, seeds: int
) -> list[dict[str, Any]]:
    """The measures of each layer, as medians over models drawn with different seeds."""
    drawn = []
    for number in range(seeds):
        try:
            config = resolve(experiment, params, derive_seed(experiment.seed, "probe", number))
            assert isinstance(config, TrainConfig)
            signals = Training(config, data, torch.device("cpu")).signals()
        except ValueError as error:
            raise InputError(f"{error} (with {params})", "probe") from None
        drawn.append([asdict(layer) for layer in signals])
    return [
        {
            "layer": layers[0]["layer"],
            **{name: _median([layer[name] for layer in layers]) for name in MEASURES},
        }
        for layers in zip(*drawn, strict=True)
    ]


def _median(values: Sequence[float | None]) -> float | None:
    return None if values[0] is None else float(np.median([v for v in values if v is not None]))


def panels(probed: Sequence[Probed]) -> list[Panel]:
    """The picture: the spread across the batch by depth, above that of the gradient.

    A line for each value of the first field; a column for each combination of the others.
    """
    first, *others = probed[0].values
    columns: dict[str, list[Probed]] = {}
    for one in probed:
        title = ", ".join(f"{name} {one.values[name]}" for name in others)
        columns.setdefault(title, []).append(one)
    return [
        Panel(
            title=title,
            x="depth",
            y=label,
            lines=[_line(f"{first} {one.values[first]}", one, measure) for one in column],
            log=True,
        )
        for measure, label in SPREADS.items()
        for title, column in columns.items()
    ]


def _line(label: str, probed: Probed, measure: str) -> Line:
    values = [layer[measure] for layer in probed.layers]
    return Line(label, list(range(1, len(values) + 1)), values)
