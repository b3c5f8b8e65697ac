"""The place of a process among those that train a trial together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """``number``: from 0, among ``world_size``. ``local``: among those on the same node."""

    number: int = 0
    world_size: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether its reports count, and its states are saved."""
        return self.number == 0


ALONE = Rank()
