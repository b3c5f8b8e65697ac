"""Configurations that stand for a space, and what an epoch of each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import nnls
from torch.utils.flop_counter import FlopCounterMode

from spaces.experiment import Experiment
from spaces.space import Drawn
from spaces.training_config import TrainConfig, resolve
from trainables.data.splits import Data
from trainables.models.families import empty_model

_DRAWN = 60  # configurations
_MEASURED = 6  # of them, where their work is known; all corners are among them
_MEASURED_OF_CODE = 3
_LAYER_WORK = 3e5  # floating-point operations in the time that it takes to start a layer's

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Configurations:
    """``drawn``: valid ones, the baseline first, if there is one; ``has_baseline``.

    ``work``: of an epoch of each, (configurations, 2): layers that are started, and floating-point
    operations of a forward pass; None for the user's own code, of which nothing is known.
    """

    drawn: list[Drawn]
    has_baseline: bool
    work: Array | None = field(repr=False)

    def measured(self) -> list[int]:
        """Which of them to measure: the first, then the cheapest, the dearest, some in between."""
        others = np.arange(1, len(self.drawn))
        if self.work is None:
            return [0, *others[:_MEASURED_OF_CODE].tolist()]
        ranked = others[np.argsort(self._whole_work()[others], kind="stable")]
        places = np.unique(np.linspace(0, len(ranked) - 1, _MEASURED - 1).round().astype(int))
        chosen: list[int] = ranked[places].tolist() if len(ranked) else []
        corners = [*chosen[:1], *chosen[-1:]] if len(chosen) > 1 else chosen
        return [0, *corners, *chosen[1:-1]]

    def dearest(self) -> int:
        """The one of which an epoch takes longest, as far as is known; else the first."""
        return 0 if self.work is None else int(np.argmax(self._whole_work()))

    def _whole_work(self) -> Array:
        assert self.work is not None
        whole: Array = self.work @ np.array([_LAYER_WORK, 1.0])
        return whole

    def seconds(self, measured: Mapping[int, float]) -> list[float]:
        """Seconds that an epoch of each takes, given those of some.

        Of built-in models, an epoch is taken to need so much for each layer that is started, for
        each operation, and for itself: what fits the measured ones best, each as much as another.
        Of the user's own code, those that were measured stand for all, the first one for itself.
        """
        others = {place: held for place, held in measured.items() if place > 0} or measured
        if self.work is None or len(measured) < 3:
            rest = [*others.values()]
            count = len(self.drawn) - 1
            return [measured.get(0, rest[0]), *(rest[place % len(rest)] for place in range(count))]
        features = np.column_stack([self.work / self.work.max(axis=0), np.ones(len(self.work))])
        places, seconds = np.array([*measured]), np.array([*measured.values()])
        weights, _ = nnls(features[places] / seconds[:, None], np.ones(len(places)))
        fitted = features @ weights
        fitted[places] = seconds
        found: list[float] = fitted.tolist()
        return found


def configurations_of(experiment: Experiment, data: Data | None) -> Configurations:
    """The baseline, and valid configurations drawn at random.

    Args:
        experiment: the search.
        data: what built-in models are trained on; None for the user's own code.
    """
    space = experiment.search_space
    drawn = space.drawn(_DRAWN, experiment.seed)
    if experiment.baseline is not None:
        drawn.insert(0, Drawn(experiment.baseline, space.returned_for(experiment.baseline)))
    valid: list[Drawn] = []
    work: list[tuple[float, float]] = []
    for candidate in drawn:
        with suppress(ValueError):
            config = resolve(experiment, candidate.params, 0, candidate.settings)
            if isinstance(config, TrainConfig):
                assert data is not None
                work.append(_work(config, data))
            valid.append(candidate)
    return Configurations(valid, experiment.baseline is not None, np.array(work) if work else None)


def _work(config: TrainConfig, data: Data) -> tuple[float, float]:
    """Layers started, and operations of the forward passes, of a training epoch.

    Raises:
        ValueError: when the model does not fit the data.
    """
    model = empty_model(config.model, data.input_shape, data.outputs, seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, *data.input_shape, device="meta"))
    samples = len(data.train.targets)
    steps = -(-samples // config.train.batch_size)
    layers = sum(1 for _ in model.modules())
    return float(steps * layers), float(samples * counter.get_total_flops())
