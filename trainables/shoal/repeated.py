"""A step that a GPU repeats by itself: a CUDA graph."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

FEWEST = 16  # steps from which on recording is worth its time
WARM_UPS = 3  # steps before a recording, in which libraries set themselves up and caches are filled


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
        self._recorder = None
        if device.type == "cuda" and times >= FEWEST:
            self._recorder = _recorder(device)
        self._warm_ups = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Take it once more."""
        recorder = self._recorder
        if recorder is None or recorder.has_failed:
            self._step()
        elif self._warm_ups < WARM_UPS:
            self._warm_ups += 1
            with recorder.aside():
                self._step()
        else:
            self._graph = self._graph or recorder.recorded(self._step)
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()


class _Recorder:
    """Records on a device; its stream and its memory serve all recordings of this process.

    Args:
        device: a GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.device(self._stream.device):
            self._memory: Any = torch.cuda.MemPool()
        self.has_failed = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The stream of recordings; it and the present one wait for each other."""
        present = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(present)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            present.wait_stream(self._stream)

    def recorded(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph | None:
        """A recording of a step, which is not taken by that; None: it can't be recorded.

        Other threads may use the GPU meanwhile: they write checkpoints.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            with self.aside():
                graph.capture_begin(self._memory.id, capture_error_mode="thread_local")
                try:
                    step()
                except BaseException:
                    with suppress(RuntimeError):  # what it says follows from the error
                        graph.capture_end()
                    raise
                graph.capture_end()
        except RuntimeError as error:
            self.has_failed = True
            said = f"the GPU is handed each operation by itself, for it can't record them: {error}"
            warnings.warn(said, stacklevel=2)
            return None
        return graph


@functools.cache
def _recorder(device: torch.device) -> _Recorder:
    return _Recorder(device)
