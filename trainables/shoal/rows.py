"""The numbers of all lanes: a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass
class Rows:
    """The numbers of some lanes, in the order of a layout.

    ``parameters``: (lanes, parameters); ``statistics``: (lanes, statistics), what batch norm keeps;
    ``kept``: what the optimizer keeps, by PyTorch's names, each of the shape of ``parameters``.
    """

    parameters: torch.Tensor
    statistics: torch.Tensor
    kept: dict[str, torch.Tensor]

    def take(self, first: int, end: int) -> Rows:
        """Some of the rows, in the same memory."""
        rows = slice(first, end)
        kept = {name: held[rows] for name, held in self.kept.items()}
        return Rows(self.parameters[rows], self.statistics[rows], kept)

    def arrange(self, order: Sequence[int]) -> None:
        """Let the first rows be those that stood in these places."""
        index = torch.tensor(order, dtype=torch.int64, device=self.parameters.device)
        for held in (self.parameters, self.statistics, *self.kept.values()):
            held[: len(order)] = held.index_select(0, index)
