"""A pass of a shoal over the training split: all its steps, each of all lanes at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from trainables.fitting.augmentation import Augmentation
from trainables.fitting.precision import in_precision
from trainables.models.noise import Step
from trainables.shoal.feed import Feed
from trainables.shoal.lane import Lane
from trainables.shoal.layers.network import Network
from trainables.shoal.objective import Objective
from trainables.shoal.optimizer import Course, make_optimizer
from trainables.shoal.repeated import Repeated
from trainables.shoal.rows import Rows


class Pass:
    """The steps of an epoch.

    All but the last are the same operations on the same memory: what differs stands in tables, and
    the device counts the steps. So it can repeat them by itself, and nothing waits for it before
    the end.

    Args:
        lanes: in the order of their rows.
        rows: theirs.
        network: of them.
        augmentation: what they do to their samples.
        feed: on which they train.
        orders: in which each lane takes the rows of the feed, (lanes, samples).
        courses: what their optimizers are told.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        rows: Rows,
        network: Network,
        augmentation: Augmentation,
        feed: Feed,
        orders: torch.Tensor,
        courses: Sequence[Course],
    ) -> None:
        settings = [lane.config.train for lane in lanes]
        weights, parameters = [lane.class_weights for lane in lanes], rows.parameters
        self._parameters = parameters
        self._network = network
        self._augmentation = augmentation
        self._feed = feed
        self._optimizer = make_optimizer(courses, rows.kept, parameters)
        self._objective = Objective(settings, weights, parameters)
        self._losses = parameters.new_zeros(courses[0].steps, len(lanes))
        self._norms = torch.zeros_like(self._losses)
        self._hits = torch.zeros(len(lanes), dtype=torch.int64, device=parameters.device)
        self._gradients = torch.zeros_like(parameters)
        self._step = torch.zeros(1, dtype=torch.int64, device=parameters.device)
        self._settings = settings[0]  # whose precision, groups and batch size are those of all
        self._group, size = self._settings.accumulate, self._settings.batch_size
        count = (courses[0].steps - 1) * self._group  # batches of all steps but the last
        alike, others = orders.tensor_split([count * size], dim=1)
        by_batch = alike.view(len(lanes), count, size).transpose(0, 1)
        self._batches = by_batch.contiguous()  # (batches, lanes, samples)
        self._last = torch.split(others, size, dim=1)

    def run(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take all steps; returns losses and gradient norms, (steps, lanes), and hits, (lanes,).

        The norm is 0 where nobody asks for it; hits are the samples whose class was found.
        """
        times = len(self._losses) - 1
        step = Repeated(self._take_next, self._step.device, times)
        for _ in range(times):
            step()
        first = self._step * self._group
        self._take([(first + place, rows) for place, rows in enumerate(self._last)], is_last=True)
        return self._losses.cpu(), self._norms.cpu(), self._hits.cpu()

    def _take_next(self) -> None:
        """Any step but the last."""
        numbers = [self._step * self._group + place for place in range(self._group)]
        self._take([(n, self._batches.index_select(0, n)[0]) for n in numbers], is_last=False)

    def _take(self, group: Sequence[tuple[Step, torch.Tensor]], is_last: bool) -> None:
        """Take a step on some batches, each with its number and the rows of the split."""
        objective, network = self._objective, self._network
        given = [(n, self._augmentation.apply(self._feed.batch(rows), n)) for n, rows in group]
        divisors = sum(objective.divisors(batch) for _, batch in given)
        for place, (number, batch) in enumerate(given):
            with in_precision(self._settings, self._step.device):
                outputs = network.forward(batch.inputs, number)
            outputs = outputs.to(self._losses.dtype)
            found = objective.totals(outputs, batch) / divisors
            penalised = [] if place else network.leaves  # once a step
            network.gradients(
                objective.minimised(found, penalised), self._gradients, adds=place > 0
            )
            self._losses.index_add_(0, self._step, found.detach()[None])
            if not batch.targets.is_floating_point():
                self._hits += (outputs.detach().argmax(2) == batch.dominant).sum(1)
        if objective.clips or is_last:
            self._norms.index_copy_(0, self._step, objective.clip(self._gradients)[None])
        self._optimizer.step(self._step, self._parameters, self._gradients)
        self._step += 1
