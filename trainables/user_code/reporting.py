"""The user's own code as one kind of thing, a generator of metrics, whichever way it reports them.

A plain function that calls ``context.report`` runs in a greenlet: a stack of its own in the same
thread. So its reports can stand anywhere, such as in a callback of a framework's trainer; a signal
or a debugger finds it where it would find any code; and between two reports it stands still.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import torch
from greenlet import getcurrent, greenlet

Train: TypeAlias = Callable[..., Any]
_MOST_REFUSALS = 100  # how often code may go on to report after it was stopped


class TrialStopped(BaseException):
    """Raised by ``context.report`` in a trial that ends with this report.

    It is no ``Exception``, so that code which survives errors ends all the same.
    """


class Reports:
    """What ``context.report`` is connected to while the code runs."""

    def __init__(self) -> None:
        self._code: greenlet | None = None
        self.should_stop = False

    def hand_in(self, metrics: Any) -> None:
        """Hand the metrics of an epoch to who trains, and wait until the next one is wanted.

        Raises:
            TrialStopped: when none is.
            RuntimeError: when this is not the code that is being trained.
        """
        code = self._code
        if code is None:
            raise RuntimeError("context.report is for functions that do not yield their metrics")
        if getcurrent() is not code:
            rule = "context.report must be called in the thread in which the training began"
            raise RuntimeError(f"{rule}, and outside of other greenlets")
        # where the code stands may be without gradients; who takes over is not
        with torch.inference_mode(False), torch.enable_grad():
            code.parent.switch(metrics)
        if self.should_stop:
            raise TrialStopped

    def steps(self, function: Train, *arguments: Any) -> Generator[Any, None, Any]:
        """The metrics of each epoch, one at a time, and what the function returns.

        Closed early, the function gets ``TrialStopped`` where it reports, and ends.
        """
        code = self._code = greenlet(function)
        code.gr_context = contextvars.copy_context()
        value = code.switch(*arguments)
        try:
            while not code.dead:
                yield value
                value = code.switch()
        finally:
            self._end(code)
        return value

    def _end(self, code: greenlet) -> None:
        self.should_stop = True
        for _ in range(_MOST_REFUSALS):
            if code.dead:
                return
            try:
                code.switch()
            except TrialStopped:
                return


def generator_of(function: Train, reports: Reports) -> Callable[..., Generator[Any, None, Any]]:
    """A generator function that yields what ``function`` yields or reports.

    Args:
        function: yields metrics, calls ``context.report``, or returns the metrics of a single
            epoch.
        reports: what its context reports to.
    """

    def steps(*arguments: Any) -> Generator[Any, None, Any]:
        if inspect.isgeneratorfunction(function):
            return (yield from function(*arguments))
        given = yield from reports.steps(function, *arguments)
        if isinstance(given, Generator):
            return (yield from given)
        return given

    return steps
