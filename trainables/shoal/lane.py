"""A lane of a shoal: one training, whose numbers are a row of the shoal's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from spaces.training_config import TrainConfig
from trainables.data.splits import Data, DeviceSplit
from trainables.fitting.batches import Batches
from trainables.fitting.loss import class_weights
from trainables.fitting.progress import STEPS_PER_LOSS, Losses, Progress
from trainables.fitting.requirements import check_requirements
from trainables.models.families import build_model
from trainables.ranks import ALONE
from trainables.shoal.layers.layout import Layout, names_of
from trainables.shoal.layers.stages import stages_of, style_of
from trainables.shoal.optimizer import Course, fill_kept, state_of
from trainables.shoal.rows import Rows


class Lane:
    """One training in a shoal: all of it but its numbers.

    Args:
        config: its settings.
        data: the splits, in host memory.
        split: the training split, on the device.
        layout: of the rows.

    Raises:
        ValueError: when the settings do not fit the data.
    """

    def __init__(self, config: TrainConfig, data: Data, split: DeviceSplit, layout: Layout) -> None:
        check_requirements(config, data, ALONE)
        self.config = config
        self.progress = Progress(config, len(data.class_names))
        self.batches = Batches(split, config.train, config.seed)
        self.class_weights = None
        if data.class_names:
            self.class_weights = class_weights(config.train, split.targets, data.outputs)
        model, _ = build_model(config.model, data.input_shape, data.outputs, config.seed)
        self._fresh: Mapping[str, torch.Tensor] = model.state_dict()
        self._in_order = list(self._fresh)
        self.stages = stages_of(model.to("meta"))  # without the memory of its weights
        self.style = style_of(self.stages)
        self.names = names_of(model, self.stages, layout)
        samples = min(config.train.batch_size, len(split))
        for stage, places in zip(self.stages, layout.stages, strict=True):
            if stage.has_batch_norm and samples * places.pixels == 1:
                raise ValueError("batch norm needs batches of more than one sample")
        self._places = list(self.names.parameters.values())  # as its optimizer has them

    def course(self, steps: int) -> Course:
        """What its optimizer is told for an epoch of so many steps."""
        return Course(self.config.train, self.progress.step, steps, self.config.max_epochs)

    def first_batch(self, batches: int) -> int:
        """The number of the first batch of its epoch, of so many, over the whole training."""
        return (self.progress.epoch - 1) * batches

    def fill(self, row: Rows, state: dict[str, Any] | None) -> None:
        """Write its numbers into a row: those of a fresh training, or of a state of ``Training``.

        Args:
            row: its own.
            state: as ``Training.state_dict`` gives it; None: a fresh one.
        """
        if state is not None:
            self.progress.load_state_dict(state)
        weights = self._fresh if state is None else state["model"]
        optimizer = {} if state is None else state["optimizer"]["state"]
        self._fresh = {}
        row.parameters.zero_()
        for name, tensor in self._tensors(row).items():
            tensor.copy_(weights[name])
        fill_kept(row.kept, self._places, optimizer)

    def _tensors(self, row: Rows) -> dict[str, torch.Tensor]:
        """The tensors of its model, by name, in the memory of its row."""
        places = [(self.names.parameters, row.parameters), (self.names.statistics, row.statistics)]
        return {
            name: place.in_model(held) for names, held in places for name, place in names.items()
        }

    def weights(self, row: Rows) -> dict[str, torch.Tensor]:
        """A copy of its weights, as the ``state_dict`` of its model."""
        held = {name: tensor.contiguous().clone() for name, tensor in self._tensors(row).items()}
        held |= {name: torch.tensor(self.progress.step) for name in self.names.counts}
        return {name: held[name] for name in self._in_order}

    def state_dict(self, row: Rows) -> dict[str, Any]:
        """A state that ``Training`` goes on from."""
        kept = state_of(row.kept, self._places, self.progress.step, self.config.train)
        return {
            **self.progress.state_dict(),
            "model": self.weights(row),
            "optimizer": {"state": kept},
        }

    def losses(self, losses: torch.Tensor) -> tuple[Losses, int]:
        """Take in the losses of an epoch; returns what is known of them, and the steps that count.

        A training that is lost ends its epoch at the next look, every 50 steps, as one that trains
        by itself does.

        Args:
            losses: (steps,), in host memory.
        """
        known, count = Losses(), len(losses)
        begun = self.progress.step
        for number in (*range(STEPS_PER_LOSS, count, STEPS_PER_LOSS), count):
            self.progress.step = begun + number
            if self.progress.look(losses, number, known):
                return known, number
        return known, count
