"""Where a worker runs, and where what its code prints goes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch

from spaces.training_config import AnyConfig


class Place(Protocol):
    """Where a worker runs."""

    def code(self, reference: str, project: str | None) -> str:
        """Where the user's code lies here, ``/path.py:function``."""

    def enter(self, directory: str | None) -> None:
        """Work in the directory where the search began."""

    def device(self, config: AnyConfig) -> tuple[torch.device, tuple[str, ...]]:
        """The device to train on, and the ids of the GPUs."""


class Output(Protocol):
    """Where what the code prints goes."""

    @property
    def traces_to(self) -> int:
        """The descriptor for the last words of a process that hangs."""

    def open(self, log_file: str) -> None:
        """Print to this log from now on."""

    def capturing(self) -> AbstractContextManager[None]:
        """While the code runs."""

    def take(self) -> str:
        """What was printed since the last call, where it is not in the log."""

    def close(self) -> None:
        """Print to where the process printed at first."""


class Here:
    """This process, which the user has started."""

    def code(self, reference: str, project: str | None) -> str:
        """The reference itself."""
        return reference

    def enter(self, directory: str | None) -> None:
        """Nothing: the session works in that directory."""

    def device(self, config: AnyConfig) -> tuple[torch.device, tuple[str, ...]]:
        """A GPU where there is one and it is wanted."""
        has_gpu = config.device == "auto" and torch.cuda.is_available()
        gpu_ids = ("0",) if has_gpu else ()
        return torch.device("cuda" if has_gpu else "cpu"), gpu_ids
