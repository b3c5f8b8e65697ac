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
from trainables.models.noise import Steps
from trainables.reports import EpochReport
from trainables.shoal.feed import Feed
from trainables.shoal.lane import Lane
from trainables.shoal.layers.layout import Layout
from trainables.shoal.layers.network import Network
from trainables.shoal.rows import Rows
from trainables.shoal.training_pass import Pass

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
        orders = self._orders()
        seen, train = orders.shape[1], self._lanes[0].config.train
        batches = math.ceil(seen / train.batch_size)
        steps = math.ceil(batches / train.accumulate)
        numbers = self._numbers(batches)
        network, augmentation = self._network(numbers), self._augmentation(numbers)
        courses = [lane.course(steps) for lane in self._lanes]
        losses, norms, hits = Pass(
            self._lanes, self._rows, network, augmentation, self._feed, orders, courses
        ).run()
        outputs = self._outputs(network, validation)
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

    def _orders(self) -> torch.Tensor:
        """The rows of the split in the order of each lane, (lanes, samples)."""
        return torch.stack(
            [torch.cat(lane.batches.of_epoch(lane.progress.epoch)) for lane in self._lanes]
        )

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
