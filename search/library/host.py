"""What a session of a script or a notebook runs in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import get_args

from search.session import Host, quiet_optuna
from search.signals import stoppable
from search.transport.environment import restored_environment
from spaces.experiment import Engine
from spaces.given import Function, given
from spaces.problems import InputError, unknown_name


def library_host(engine: Engine | None, address: str | None, show: bool) -> Host:
    """A host that leaves the process as it was.

    Args:
        engine: instead of the experiment's.
        address: of a Ray cluster.
        show: whether progress is shown, on standard error or below a notebook's cell; otherwise
            notes are logged by Python's logging, as ``shoal``.

    Raises:
        InputError: when there is no such engine.
    """
    if engine not in (None, *get_args(Engine)):
        raise InputError(unknown_name("engine", str(engine), get_args(Engine)), "engine")
    if not show:
        return Host(engine, address, guard=stoppable)
    from search.cli.host import Terminal

    return Host(engine, address, view=Terminal(engine), guard=stoppable)


@contextmanager
def at_work(functions: Mapping[str, Function]) -> Iterator[None]:
    """While Shoal works inside of somebody's program, which is as before in the end.

    Args:
        functions: that were handed over, by what stands for them.
    """
    with given(functions), restored_environment(), quiet_optuna():
        yield
