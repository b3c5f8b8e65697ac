"""``Shoal``: many configurations, trained as one model. Each is trained as it would be by itself.

Every lane has its own weights, batches, dropout and settings; all lanes take each step together,
as one operation over stacked tensors. (So do HFTA, Wang et al., 2021, and Hydro, Hu et al., 2023.)
Here lanes come and go between any two epochs, and go on alone as a ``Training`` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from spaces.training_config import TrainConfig
from trainables.data.splits import Data
from trainables.models.families import build_model
from trainables.reports import EpochReport
from trainables.shoal.epoch import Epoch
from trainables.shoal.feed import Feeds
from trainables.shoal.kind import kind_of
from trainables.shoal.lane import Lane
from trainables.shoal.layers.layout import Layout
from trainables.shoal.optimizer import KEPT
from trainables.shoal.rows import Rows


class Shoal:
    """Trainings of one kind (``kind_of``), an epoch of all of them at a time.

    Args:
        config: of any of them.
        data: the splits, in host memory.
        device: where models and data are held.
        lanes: how many there may be at once.
        feeds: the splits on the device; left out: they are moved there.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: Data,
        device: torch.device,
        lanes: int,
        feeds: Feeds | None = None,
    ) -> None:
        self.kind = kind_of(config)
        self.capacity = lanes
        self._data = data
        self._feeds = feeds or Feeds.of(data, device)
        model, _ = build_model(config.model, data.input_shape, data.outputs, config.seed)
        self._layout = Layout(model, data.input_shape)
        self._lanes: dict[int, Lane] = {}
        self._order: list[int] = []  # the lane in each row
        sizes = self._layout.parameters, self._layout.statistics
        self._rows = Rows.empty(*sizes, KEPT[config.train.optimizer], device)

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, lane: int) -> bool:
        return lane in self._lanes

    def admit(self, lane: int, config: TrainConfig, state: dict[str, Any] | None = None) -> None:
        """Let a training in.

        Args:
            lane: what it is called from now on.
            config: its settings, of this shoal's kind.
            state: from which it goes on, as ``Training.state_dict`` gives it; None: the start.

        Raises:
            ValueError: when it is of another kind, the lane is taken, there is no room, or its
                settings do not fit the data.
        """
        if kind_of(config) != self.kind:
            raise ValueError("the configuration is of another kind than this shoal's")
        if lane in self._lanes:
            raise ValueError(f"lane {lane} is taken")
        if len(self._order) == self.capacity:
            raise ValueError(f"all {self.capacity} lanes are taken")
        admitted, row = Lane(config, self._data, self._feeds.train.split, self._layout), len(self)
        if row == len(self._rows):
            self._rows = self._rows.extended(min(max(8, 2 * row), self.capacity))
        admitted.fill(self._rows.take(row, row + 1), state)
        self._lanes[lane] = admitted
        self._order.append(lane)

    def load(self, lane: int, state: dict[str, Any]) -> None:
        """Let a training go on from another state of the same configuration.

        Raises:
            KeyError: when there is none in this lane.
        """
        self._lanes[lane].fill(self._row(lane), state)

    def evict(self, lane: int) -> None:
        """Let a training go.

        Raises:
            KeyError: when there is none in this lane.
        """
        del self._lanes[lane]
        self._arrange([other for other in self._order if other != lane])

    def extract(self, lane: int) -> dict[str, Any]:
        """The state of a training, from which ``Training`` goes on.

        Raises:
            KeyError: when there is none in this lane.
        """
        return self._lanes[lane].state_dict(self._row(lane))

    def weights(self, lane: int) -> dict[str, torch.Tensor]:
        """The weights of a training that count, see ``Training.weights``."""
        held = self._lanes[lane]
        weights = held.progress.kept_weights or held.weights(self._row(lane))
        return {name: tensor.cpu() for name, tensor in weights.items()}

    def state_dict(self) -> dict[int, dict[str, Any]]:
        """The states of all trainings, by lane."""
        return {lane: self.extract(lane) for lane in self._order}

    def epoch(self, lane: int) -> int:
        """The epochs that a training has done."""
        return self._lanes[lane].progress.epoch

    def is_over(self, lane: int) -> bool:
        """Whether a training has no epoch left."""
        return self._lanes[lane].progress.is_over

    def train_epoch(self, lanes: Iterable[int] | None = None) -> dict[int, EpochReport]:
        """Train an epoch of some lanes, the others stand still; returns the report of each.

        Args:
            lanes: which; left out: all that have an epoch left.
        """
        asked = self._order if lanes is None else lanes
        chosen = [lane for lane in dict.fromkeys(asked) if not self.is_over(lane)]
        if not chosen:
            return {}
        chosen.sort(key=lambda lane: self._lanes[lane].style)
        self._arrange([*chosen, *(lane for lane in self._order if lane not in chosen)])
        held, rows = [self._lanes[lane] for lane in chosen], self._rows.take(0, len(chosen))
        epoch = Epoch(held, rows, self._layout, self._feeds.train, len(self._data.class_names))
        return dict(zip(chosen, epoch.reports(self._feeds.validation), strict=True))

    def _row(self, lane: int) -> Rows:
        row = self._order.index(lane)
        return self._rows.take(row, row + 1)

    def _arrange(self, order: list[int]) -> None:
        """Have the lanes stand in the rows in this order."""
        if order != self._order[: len(order)]:
            self._rows.arrange([self._order.index(lane) for lane in order])
        self._order = order
