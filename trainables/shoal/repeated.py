"""A step that a GPU repeats by itself: a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_FIRST = 3  # steps before it is recorded, in which libraries set themselves up
FEWEST = 16  # steps from which on recording is worth its time


class Repeated:
    """Takes a step again and again.

    A small step is over sooner than its many operations are handed to a GPU, one by one. So they
    are recorded once, and then handed over as one. Where they can't be, and on other devices, each
    is handed over by itself.

    Args:
        step: always does the same operations on the same memory, and asks the device nothing.
        device: where it does.
        times: it will be taken, about.
    """

    def __init__(self, step: Callable[[], None], device: torch.device, times: int) -> None:
        self._step = step
        self._can_record = device.type == "cuda" and times >= FEWEST
        self._first = _FIRST
        self._graph: torch.cuda.CUDAGraph | None = None
        if self._can_record:
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self) -> None:
        """Take it once more."""
        if self._can_record and self._first == 0 and self._graph is None:
            self._record()
        if self._graph is not None:
            self._graph.replay()
        elif self._can_record:
            self._first -= 1
            self._take_aside()
        else:
            self._step()

    def _take_aside(self) -> None:
        """Take it as it is recorded: outside of the default stream."""
        with self._aside():
            self._step()

    def _record(self) -> None:
        """Record it; it is not taken by that."""
        graph = torch.cuda.CUDAGraph()
        try:
            with self._aside():
                graph.capture_begin()
                try:
                    self._step()
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            self._can_record = False
            warnings.warn(f"the GPU is handed each operation by itself: {error}", stacklevel=2)
        else:
            self._graph = graph

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """A stream of its own; it and the present one wait for each other."""
        present, aside = torch.cuda.current_stream(), self._stream
        aside.wait_stream(present)
        with torch.cuda.stream(aside):
            yield
        present.wait_stream(aside)
