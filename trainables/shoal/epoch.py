"""An epoch of a shoal: every lane takes each step at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from trainables.data.splits import DeviceSplit
from trainables.fitting.augmentation import Augmentation
from trainables.fitting.batch import Batch
from trainables.fitting.evaluation import Scores
from trainables.fitting.precision import in_precision
from trainables.models.noise import Steps
from trainables.reports import EpochReport
from trainables.shoal.feed import Feed
from trainables.shoal.lane import Lane
from trainables.shoal.layers.layout import Layout
from trainables.shoal.layers.network import Network
from trainables.shoal.objective import Objective
from trainables.shoal.optimizer import Course, make_optimizer
from trainables.shoal.rows import Rows

_MOST_INPUTS = 2**22  # numbers that an evaluation handles at once, over all lanes


class Epoch:
    """The next epoch of some lanes.

    Args:
        lanes: in the order of their rows; those of one style side by side.
        rows: theirs, and no others.
        layout: of the rows.
        feed: on which they train.
        classes: how many there are, 0 for a regression.
    """

    def __init__(
        self, lanes: Sequence[Lane], rows: Rows, layout: Layout, feed: Feed, classes: int
    ) -> None:
        self._lanes = lanes
        self._rows = rows
        self._layout = layout
        self._feed = feed
        self._classes = classes

    def reports(self, validation: Feed) -> list[EpochReport]:
        """Train it, and evaluate; returns what each lane reports.

        Args:
            validation: on which to evaluate.
        """
        for lane in self._lanes:
            lane.progress.epoch += 1
        batches = self._batches()
        numbers = self._numbers(len(batches))
        network = self._network(numbers)
        steps = math.ceil(len(batches) / self._lanes[0].config.train.accumulate)
        courses = [lane.course(steps) for lane in self._lanes]
        losses, norms, hits = self._train(network, self._augmentation(numbers), batches, courses)
        outputs = self._outputs(network, validation)
        seen = sum(batch.shape[1] for batch in batches)
        found = []
        for number, lane in enumerate(self._lanes):
            known, count = lane.losses(losses[:, number].contiguous())
            rate = courses[number].rate(count - 1)
            has_norm = courses[number].settings.clip_norm is not None or count == steps
            norm = norms[count - 1, number].item() if has_norm else 0.0
            others = {"learning_rate": rate, "gradient_norm": norm}
            accuracy = hits[number].item() / seen
            report = lane.progress.report(
                known,
                accuracy,
                others,
                scores=partial(self._scores, outputs[number], validation.split),
                weights=partial(lane.weights, self._rows.take(number, number + 1)),
            )
            found.append(report)
        return found

    def _batches(self) -> Sequence[torch.Tensor]:
        """The rows of the split in each batch, (lanes, samples)."""
        orders = [torch.cat(lane.batches.of_epoch(lane.progress.epoch)) for lane in self._lanes]
        return torch.split(torch.stack(orders), self._lanes[0].config.train.batch_size, dim=1)

    def _numbers(self, batches: int) -> Steps:
        """Which batches of each training they are: what is random depends on that."""
        seeds = [lane.config.seed for lane in self._lanes]
        return Steps(seeds, [lane.first_batch(batches) for lane in self._lanes], batches)

    def _network(self, numbers: Steps) -> Network:
        models, rows = [lane.stages for lane in self._lanes], self._rows
        return Network(self._layout, models, rows.parameters, rows.statistics, numbers)

    def _augmentation(self, numbers: Steps) -> Augmentation:
        settings = [lane.config.train for lane in self._lanes]
        shape = self._feed.split.inputs.shape[1:]
        return Augmentation(settings, numbers, shape, self._rows.parameters)

    def _train(
        self,
        network: Network,
        augmentation: Augmentation,
        batches: Sequence[torch.Tensor],
        courses: Sequence[Course],
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take all steps; returns losses and gradient norms, (steps, lanes), and hits, (lanes,).

        The norm is 0 where nobody asks for it. Nothing waits for the device before the end.
        """
        rows, lanes = self._rows, self._lanes
        optimizer = make_optimizer(courses, rows.kept, rows.parameters)
        weights = [lane.class_weights for lane in lanes]
        objective = Objective([lane.config.train for lane in lanes], weights, rows.parameters)
        losses = rows.parameters.new_zeros(courses[0].steps, len(lanes))
        norms = torch.zeros_like(losses)
        hits = torch.zeros(len(lanes), dtype=torch.int64, device=losses.device)
        gradients = torch.zeros_like(rows.parameters)
        settings = lanes[0].config.train  # its precision and groups are those of all lanes
        size = settings.accumulate
        for step, start in enumerate(range(0, len(batches), size)):
            group = range(start, min(start + size, len(batches)))
            given = [augmentation.apply(self._feed.batch(batches[n]), n) for n in group]
            divisors = sum(objective.divisors(batch) for batch in given)
            for number, batch in zip(group, given, strict=True):
                with in_precision(settings, losses.device):
                    outputs = network.forward(batch.inputs, number)
                outputs = outputs.to(losses.dtype)
                found = objective.totals(outputs, batch) / divisors
                penalised = network.leaves if number == start else []  # once a step
                minimised = objective.minimised(found, penalised)
                network.gradients(minimised, gradients, adds=number > start)
                losses[step] += found.detach()
                if self._classes:
                    hits += (outputs.detach().argmax(2) == batch.dominant).sum(1)
            if objective.clips or step == courses[0].steps - 1:
                norms[step] = objective.clip(gradients)
            optimizer.step(step, rows.parameters, gradients)
        return losses.cpu(), norms.cpu(), hits.cpu()

    @torch.no_grad()
    def _outputs(self, network: Network, feed: Feed) -> torch.Tensor:
        """The outputs for a split, (lanes, samples, …)."""
        lanes, samples = len(self._lanes), len(feed)
        count = max(64, _MOST_INPUTS // (lanes * self._layout.widest))
        found = []
        for start in range(0, samples, count):
            shared = feed.shared(slice(start, start + count))
            found.append(network.forward(shared.expand(lanes, *shared.shape)))
        return torch.cat(found, dim=1)

    def _scores(self, outputs: torch.Tensor, split: DeviceSplit) -> dict[str, float]:
        """The metrics of one lane."""
        scores = Scores(self._classes, split.device)
        scores.add(outputs, Batch(outputs, split.targets))
        return scores.metrics()
