"""Lanes side by side whose layers are alike are computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeAlias

import torch
from torch import nn

Compute: TypeAlias = Callable[[nn.Module, torch.Tensor, slice], torch.Tensor]


class Runs:
    """The layers of one place in all lanes' models.

    Args:
        layers: of each lane; those that print alike are alike.
        axis: of the values that counts the lanes.
    """

    def __init__(self, layers: Sequence[nn.Module], axis: int) -> None:
        self._axis = axis
        self._runs: list[tuple[nn.Module, slice]] = []
        first = 0
        for _, alike in groupby(layers, key=repr):
            layer, *others = alike
            end = first + 1 + len(others)
            self._runs.append((layer, slice(first, end)))
            first = end

    def map(self, values: torch.Tensor, compute: Compute) -> torch.Tensor:
        """Compute the values of each run.

        Args:
            values: of all lanes.
            compute: gives those of a run, from its layer, its values, and which lanes it has.
        """
        if len(self._runs) == 1:
            return compute(self._runs[0][0], values, self._runs[0][1])
        counts = [rows.stop - rows.start for _, rows in self._runs]
        parts = torch.split(values, counts, self._axis)
        found = [
            compute(layer, part, rows)
            for (layer, rows), part in zip(self._runs, parts, strict=True)
        ]
        return torch.cat(found, self._axis)
