"""The numbers of all lanes: a row each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    @classmethod
    def empty(
        cls, parameters: int, statistics: int, kept: Iterable[str], device: torch.device
    ) -> Rows:
        """No rows, of so many numbers each."""
        held = torch.zeros(0, parameters, device=device)
        others = torch.zeros(0, statistics, device=device)
        return cls(held, others, {name: held.clone() for name in kept})

    def __len__(self) -> int:
        return len(self.parameters)

    def extended(self, count: int) -> Rows:
        """These rows and further ones, ``count`` in all."""

        def more(held: torch.Tensor) -> torch.Tensor:
            return torch.cat([held, held.new_zeros(count - len(held), held.shape[1])])

        kept = {name: more(held) for name, held in self.kept.items()}
        return Rows(more(self.parameters), more(self.statistics), kept)

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
