"""``Training``: one configuration, trained epoch by epoch, exactly resumable. The central seam."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from spaces.training_config import TrainConfig
from trainables.data.splits import Data, DeviceSplit, to_device
from trainables.diagnostics.probes import Signals, as_metrics, measure
from trainables.fitting.batches import Batches
from trainables.fitting.compilation import CompiledModel
from trainables.fitting.evaluation import evaluate
from trainables.fitting.loss import norm_penalty, training_loss
from trainables.fitting.optimizer import make_optimizer, schedule_factor
from trainables.fitting.parallel import Parts
from trainables.fitting.precision import in_precision
from trainables.fitting.progress import STEPS_PER_LOSS, Losses, Progress
from trainables.fitting.requirements import check_requirements
from trainables.models.families import build_model
from trainables.ranks import ALONE, Rank
from trainables.reports import EpochReport


class Training:
    """One training. Iterate to train: each item is the report of one more epoch.

    Its outcome is a function of ``config`` and ``data`` alone: batch order, dropout noise and
    weights come from the seed, so an interrupted training that is resumed with ``load_state_dict``
    ends with the same weights, bit for bit on a CPU.

    Args:
        config: the resolved settings.
        data: the splits, in host memory.
        device: where model and data are held.
        rank: which of the processes that train it together this is; they are in a process group.

    Raises:
        ValueError: when model or settings do not fit the data or the machine.
    """

    def __init__(
        self, config: TrainConfig, data: Data, device: torch.device, rank: Rank = ALONE
    ) -> None:
        check_requirements(config, data, rank)
        self.config = config
        self.device = device
        split = to_device(data.train, data, device)
        self._batches = Batches(split, config.train, config.seed)
        self._validation = to_device(data.validation, data, device)
        model, self._noise = build_model(config.model, data.input_shape, data.outputs, config.seed)
        self.model: nn.Sequential = model.to(device)
        self.optimizer = make_optimizer(config.train, self.model)
        self._classes = len(data.class_names)
        self._loss = training_loss(config.train, split.targets, data.outputs)
        self._parts = Parts(rank)
        self._forward = self._parts.forward(self.model)
        if config.train.compile:
            shape = (min(config.train.batch_size, len(split)), *data.input_shape)
            self._forward = CompiledModel(self.model, shape, config.train.precision)
        self._progress = Progress(config, self._classes)

    @property
    def epoch(self) -> int:
        """Epochs done so far."""
        return self._progress.epoch

    @property
    def step(self) -> int:
        """Optimizer steps done so far."""
        return self._progress.step

    def __iter__(self) -> Iterator[EpochReport]:
        return self

    def __next__(self) -> EpochReport:
        if self._progress.is_over:
            raise StopIteration
        self._progress.epoch += 1
        losses, accuracy, gradient_norm = self._train_epoch()
        others = {
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "gradient_norm": gradient_norm,
        }
        if self.config.diagnostics:
            others |= as_metrics(self.signals())
        return self._progress.report(losses, accuracy, others, self.evaluate, self._copied_weights)

    def _train_epoch(self) -> tuple[Losses, float, float]:
        """Train one epoch; returns its losses, the share of hits, the last gradient's norm.

        A loss that is no longer finite, or has exploded, ends the epoch at the next look, every
        50 steps.
        """
        self.model.train()
        batches, size = self._batches.of_epoch(self.epoch), self.config.train.accumulate
        starts = range(0, len(batches), size)  # of each step's batches
        losses = torch.zeros(len(starts), device=self.device)
        hits = torch.zeros((), dtype=torch.int64, device=self.device)
        known = Losses()
        gradient_norm = torch.zeros(())
        for number, start in enumerate(starts, start=1):
            self._set_learning_rate(len(starts))
            self.optimizer.zero_grad(set_to_none=True)
            first = (self.epoch - 1) * len(batches) + start
            losses[number - 1] = self._add_gradients(batches[start : start + size], first, hits)
            is_last = number == len(starts)
            if self.config.train.clip_norm is not None or is_last:
                gradient_norm = self._clip()
            self.optimizer.step()
            self._progress.step += 1
            if number % STEPS_PER_LOSS == 0 or is_last:
                self._parts.add_up(losses[(number - 1) // STEPS_PER_LOSS * STEPS_PER_LOSS : number])
                if self._progress.look(losses, number, known):
                    break
        self._parts.add_up(hits)
        seen = sum(len(rows) for rows in batches)
        return known, hits.item() / seen, gradient_norm.item()

    def _add_gradients(
        self, group: list[torch.Tensor], first: int, hits: torch.Tensor
    ) -> torch.Tensor:
        """The gradients of one optimizer step: those of the mean loss over all its batches.

        Args:
            group: the rows of each batch.
            first: the number of the first of them, from 0 over the whole training.
            hits: samples whose class was found are added to it.

        Returns:
            The loss, without penalties; of several ranks this one's part of it.
        """
        batches = [self._batches.prepare(rows, first + n) for n, rows in enumerate(group)]
        divisor = sum(self._loss.divisor(batch) for batch in batches)
        whole = torch.zeros((), device=self.device)
        penalty = self._penalty()
        for number, batch in enumerate(batches, start=first):
            part = self._parts.of(batch)
            self._noise.step, self._noise.part = number, self._parts.place(len(batch))
            with in_precision(self.config.train, self.device):
                outputs = self._forward(part.inputs)
            outputs = outputs.to(whole.dtype)  # (samples, classes) or (samples, targets)
            loss = self._loss.total(outputs, part) / divisor
            minimised = self._parts.count * loss + penalty  # the ranks' gradients are averaged
            minimised.backward()  # type: ignore[no-untyped-call]
            penalty = 0.0  # once a step
            whole += loss.detach()
            if self._classes:
                hits += (outputs.detach().argmax(1) == part.dominant).sum()
        return whole

    def _set_learning_rate(self, steps_per_epoch: int) -> None:
        rate = self.config.train.lr * schedule_factor(
            self.config.train.schedule, self.step, steps_per_epoch, self.config.max_epochs
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _clip(self) -> torch.Tensor:
        """Clip the gradients where that is asked for; returns their norm before."""
        limit = self.config.train.clip_norm or math.inf
        return nn.utils.clip_grad_norm_(self.model.parameters(), limit)

    def _penalty(self) -> torch.Tensor | float:
        """What is added to the loss to be minimised; the reported loss is without it."""
        return norm_penalty(self.config.train.norm_penalty, self.model.parameters())

    def evaluate(self, split: DeviceSplit | None = None) -> dict[str, float]:
        """The scores on a split (left out: validation), see ``trainables.fitting.evaluation``."""
        split = self._validation if split is None else split
        return evaluate(self.model, split, self._classes, self._parts)

    def signals(self) -> list[Signals]:
        """How signal and gradient travel through the layers now, on a batch of training data.

        It is the same batch every time and for every trial of a search; nothing is changed.
        """
        batch = self._batches.probe(self.config.split_seed)
        return measure(self.model, batch.inputs, lambda outputs: self._loss.mean(outputs, batch))

    def _copied_weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights that count: the last epoch's, or with ``metric.scope: best`` the best's."""
        weights = self._progress.kept_weights or self.model.state_dict()
        return {name: tensor.detach().cpu() for name, tensor in weights.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on, as tensors and plain values."""
        return {
            **self._progress.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": {"state": self.optimizer.state_dict()["state"]},
        }

    @staticmethod
    def epoch_of(state: dict[str, Any]) -> int:
        """The epoch after which a saved state goes on."""
        epoch: int = state["epoch"]
        return epoch

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state_dict`` gave for the same configuration."""
        self._progress.load_state_dict(state)
        self.model.load_state_dict(state["model"])
        own = self.optimizer.state_dict()  # whose settings are the configuration's
        self.optimizer.load_state_dict({**own, "state": state["optimizer"]["state"]})

    def close(self) -> None:
        """Nothing is held open."""
