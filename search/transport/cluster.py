"""The Ray cluster: connecting to it quietly, and how many trials fit on it."""

from __future__ import annotations

import logging
import math
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.control.view import View
from search.transport.environment import prepare_environment
from search.transport.ray_faults import keep_token_in_memory, start_error, start_faults
from spaces.experiment import Experiment
from spaces.imports import project_of
from spaces.problems import InputError, Problem
from spaces.resources import Resources

_PROJECT = "project"
_NOT_SHIPPED = [f"/{_PROJECT}/runs", f"/{_PROJECT}/data", "*.pt", "*.safetensors"]  # and .gitignore
_SLOTS_SECONDS = 2.0  # how long the number of slots is believed


def connect(address: str | None, verbose: bool, code: Path | None = None) -> bool:
    """Start Ray here, or connect to a cluster; a Ray that runs already in this process is taken.

    Args:
        address: of a running cluster (``auto`` or ``host:port``); None starts Ray here.
        verbose: let Ray's own messages through.
        code: a project that becomes the working directory of the workers of a cluster.

    Returns:
        Whether Ray was started by this call and should be shut down after use.

    Raises:
        InputError: when there is no cluster at the address, or Ray can't be started here.
    """
    if address is not None and address.startswith("ray://"):
        raise InputError(
            "ray:// would run the search in a process that can't reach this folder; "
            "submit it with ray job submit -- shoal search … instead",
            source="--address",
        )
    if address is not None and address != "auto":
        _probe(address)
    prepare_environment(address)
    if not verbose:
        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        return False
    if faults := start_faults(address):
        raise InputError(faults)
    if address is None:
        keep_token_in_memory()
    local = {"include_dashboard": False} if address is None else {}
    runtime_env: dict[str, Any] = {
        "env_vars": {"RAY_CHDIR_TO_TRIAL_DIR": "0"},
        "worker_process_setup_hook": "_shoal.start_worker",
    }
    try:
        shipped = _shipped(code if address is not None else None, runtime_env)
        with _deaf_to_hangups(), shipped:
            ray.init(
                address=address or "local",
                runtime_env=runtime_env,
                log_to_driver=verbose,
                logging_level=logging.INFO if verbose else logging.CRITICAL,
                **local,
            )
    except Exception as error:  # Ray raises all kinds, plain exceptions too
        ray.shutdown()
        raise start_error(error, address, code) from None
    return True


@contextmanager
def _deaf_to_hangups() -> Iterator[None]:
    """Keep a closed terminal from processes that are started now: the driver will end them.

    (What is blocked stays so in them; a hangup of this process waits until the end of the context.)
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _shipped(code: Path | None, runtime_env: dict[str, Any]) -> Iterator[None]:
    """Let Ray take a project to the nodes, meanwhile.

    Ray puts the folder that it takes first on the path of each worker, so the project is one
    within that: none of its files can hide a module from Ray itself.
    """
    if code is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        (Path(folder) / _PROJECT).symlink_to(code)
        runtime_env |= {"working_dir": folder, "excludes": _NOT_SHIPPED}
        runtime_env["env_vars"]["SHOAL_PROJECT"] = _PROJECT
        yield


def disconnect() -> None:
    """End Ray, or leave the cluster."""
    ray.shutdown()


def living_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def ask_node(
    node: dict[str, Any], seconds: float, function: Callable[..., Any], *arguments: Any
) -> Any:
    """Call a function on one node of the cluster.

    Raises:
        TimeoutError: when it does not answer in time.
        Exception: whatever Ray or the function raises.
    """
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    task = ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=strategy)
    try:
        return ray.get(task.remote(*arguments), timeout=seconds)
    except ray.exceptions.GetTimeoutError:
        raise TimeoutError from None


def _probe(address: str) -> None:
    """See that something listens at ``host:port``; Ray itself would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(f"must be auto or host:port, got {address!r}", source="--address")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"nothing answers at {address}: {error}", source="--address") from None


@dataclass
class Slots:
    """How many trials fit on the cluster at a time, each with its CPUs and GPUs."""

    cpus: float
    gpus: float
    _count: int = 0
    _counted_at: float = -math.inf

    def count(self) -> int:
        """The number that fits now.

        A trial has its CPUs and its GPU, or its share of one GPU, on one node.
        """
        if time.monotonic() - self._counted_at > _SLOTS_SECONDS:
            nodes = [node["Resources"] for node in living_nodes()]
            self._count = sum(self._fitting(node) for node in nodes)
            self._counted_at = time.monotonic()
        return self._count

    def _fitting(self, node: dict[str, float]) -> int:
        by_cpu = int(node.get("CPU", 0) / self.cpus + 1e-9)
        if self.gpus == 0:
            return by_cpu
        return min(by_cpu, int(node.get("GPU", 0)) * int(1 / self.gpus + 1e-9))


def slots_for(resources: Resources, may_wait: bool) -> Slots:
    """What each trial gets on the connected cluster.

    Args:
        resources: what the experiment asks for.
        may_wait: whether nodes may join later, so that what is missing now is no mistake.

    Raises:
        InputError: when a trial can't fit on any machine that there is.
    """
    total = ray.cluster_resources()
    gpus = resources.gpus if resources.gpus != "auto" else float(total.get("GPU", 0) >= 1)
    slots = Slots(resources.cpus, gpus)
    if not may_wait:
        nodes = [node["Resources"] for node in living_nodes()]
        most = {kind: max(node.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU")}
        problems = [
            Problem(path, f"{asked:g} per trial asked for, but there are {most[kind]:g} here")
            for path, kind, asked in (
                ("resources.cpus", "CPU", resources.cpus),
                ("resources.gpus", "GPU", gpus),
            )
            if asked > most[kind]
        ]
        if problems:
            raise InputError(problems)
    return slots


@contextmanager
def on_cluster(
    experiment: Experiment, address: str | None, verbose: bool, view: View
) -> Iterator[Slots]:
    """Ray while the work lasts, and what each training gets of it."""
    with view.doing("starting Ray" if address is None else "connecting to Ray"):
        is_ours = connect(address, verbose, project_of(experiment.trainable))
    try:
        yield slots_for(experiment.resources, may_wait=address is not None)
    finally:
        if is_ours:
            with view.doing("ending Ray's processes"):
                ray.shutdown()
