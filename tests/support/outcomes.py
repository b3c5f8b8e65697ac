"""What becomes of a file from somebody else: it is loaded, or refused with one message."""

from __future__ import annotations

import io
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from rich.console import Console

from search.cli.options import print_json
from search.cli.prepare import print_description
from search.control.sampler import Sampler
from search.tools.describe import describe_experiment
from spaces.files import load_experiment, read_mapping, save_experiment
from spaces.problems import InputError
from spaces.training_config import resolve
from tests.support.proposals import ask

SECONDS = 30.0  # a case that takes longer hangs (the slowest needs one, on a machine that is free)
MEGABYTES = 1500  # a case that asks for more explodes
LONGEST_MESSAGE = 4000

Load = Callable[[Path], object]


def console() -> Console:
    return Console(file=io.StringIO(), highlight=False)  # as at the command line


def show(folder: Path) -> None:
    """Everything that follows from a file before something is trained."""
    change = folder / "change"
    changes = [change.read_text()] if change.exists() else []
    experiment = load_experiment(folder / "file.yaml", changes)
    print_json(experiment.plain())
    print_description(describe_experiment(experiment), console())
    sampler = Sampler(experiment)
    for number in range(2):
        ask(sampler, number)
    if experiment.baseline is not None:
        resolve(experiment, experiment.baseline, seed=0)
    save_experiment(experiment, folder / "saved.yaml")
    assert read_mapping(folder / "saved.yaml") == experiment.plain()


@contextmanager
def _limits() -> Iterator[None]:
    """A hang, and a hunger for memory, become exceptions."""

    def stop(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"took longer than {SECONDS} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    kind = resource.RLIMIT_DATA
    limits = resource.getrlimit(kind)
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        used = int(status.partition("VmData:")[2].split()[0]) * 1024
        resource.setrlimit(kind, (used + MEGABYTES * 2**20, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(kind, limits)


def outcome(load: Load, folder: Path) -> str:
    """Load a case; returns ``loaded`` or ``refused``, and lets any other exception out."""
    try:
        with _limits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(folder)
    except InputError as error:
        told = str(error)
        assert told.strip(), "a message says something"
        assert len(told) <= LONGEST_MESSAGE, f"a message is short, not {told}"
        assert "Traceback" not in told
        return "refused"
    return "loaded"
