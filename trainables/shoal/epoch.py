"""An epoch of a shoal: every lane takes each step at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from trainables.data.splits import DeviceSplit
from trainables.fitting.batch import Batch
from trainables.fitting.evaluation import Scores
from trainables.reports import EpochReport
from trainables.shoal.feed import Feed
from trainables.shoal.lane import Lane
from trainables.shoal.layers.layout import Layout
from trainables.shoal.layers.masks import Steps
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
        network = self._network(len(batches))
        courses = [lane.course(len(batches)) for lane in self._lanes]
        losses, norms, hits = self._train(network, batches, courses)
        outputs = self._outputs(network, validation)
        seen = sum(batch.shape[1] for batch in batches)
        found = []
        for number, lane in enumerate(self._lanes):
            known, count = lane.losses(losses[:, number].contiguous())
            rate = courses[number].rate(count - 1)
            has_norm = courses[number].settings.clip_norm is not None or count == len(batches)
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

    def _network(self, batches: int) -> Network:
        lanes = self._lanes
        seeds = [lane.config.seed for lane in lanes]
        steps = Steps(seeds, [(lane.progress.epoch - 1) * batches for lane in lanes], batches)
        models = [lane.stages for lane in lanes]
        return Network(self._layout, models, self._rows.parameters, self._rows.statistics, steps)

    def _train(
        self, network: Network, batches: Sequence[torch.Tensor], courses: Sequence[Course]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take all steps; returns losses and gradient norms, (steps, lanes), and hits, (lanes,).

        The norm is 0 where nobody asks for it. Nothing waits for the device before the end.
        """
        rows, lanes = self._rows, len(self._lanes)
        optimizer = make_optimizer(courses, rows.kept, rows.parameters)
        objective = Objective([course.settings for course in courses], rows.parameters)
        losses = rows.parameters.new_zeros(len(batches), lanes)
        norms = torch.zeros_like(losses)
        hits = torch.zeros(lanes, dtype=torch.int64, device=losses.device)
        gradients = torch.zeros_like(rows.parameters)
        for step, batch in enumerate(batches):
            inputs, targets = self._feed.batch(batch)
            outputs = network.forward(inputs, step)
            losses_now = objective.losses(outputs, targets)
            network.gradients(objective.minimised(losses_now, network.leaves), gradients)
            losses[step] = losses_now.detach()
            if objective.clips or step == len(batches) - 1:
                norms[step] = objective.clip(gradients)
            if self._classes:
                hits += (outputs.detach().argmax(2) == targets).sum(1)
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
