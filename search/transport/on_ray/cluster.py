"""The Ray cluster: connecting to it quietly, and how many trials fit on it."""

from __future__ import annotations

import logging
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.control.view import View
from search.transport.environment import prepare_environment
from search.transport.on_ray.slots import Slots, slots_for
from search.transport.on_ray.start_faults import keep_token_in_memory, start_error, start_faults
from spaces.experiment import Experiment
from spaces.given import given_as
from spaces.imports import project_of
from spaces.kept.data_files import DATA_FOLDER
from spaces.problems import InputError

_PROJECT = "project"
_KEPT_DATA = f"/{_PROJECT}/{DATA_FOLDER}"  # where the code is what a run has kept
_NOT_SHIPPED = [  # beside what .gitignore names
    *(f"/{_PROJECT}/runs", f"/{_PROJECT}/data", "*.pt", "*.safetensors"),
    f"!{_KEPT_DATA}/*.safetensors",
]


def connect(
    address: str | None, verbose: bool, code: Path | None = None, is_handed: bool = False
) -> bool:
    """Start Ray here, or connect to a cluster; a Ray that runs already in this process is taken.

    Args:
        address: of a running cluster (``auto`` or ``host:port``); None starts Ray here.
        verbose: let Ray's own messages through.
        code: a project that becomes the working directory of the workers of a cluster.
        is_handed: whether its function was handed over. Then that brings its data itself.

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
        shipped = _shipped(code if address is not None else None, runtime_env, is_handed)
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
def _shipped(code: Path | None, runtime_env: dict[str, Any], is_handed: bool) -> Iterator[None]:
    """Let Ray take a project to the nodes, meanwhile.

    Ray puts the folder that it takes first on the path of each worker, so the project is one
    within that: none of its files can hide a module from Ray itself.
    """
    if code is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        (Path(folder) / _PROJECT).symlink_to(code)
        excluded = [*_NOT_SHIPPED, *([_KEPT_DATA] if is_handed else [])]
        runtime_env |= {"working_dir": folder, "excludes": excluded}
        runtime_env["env_vars"]["SHOAL_PROJECT"] = _PROJECT
        yield


def disconnect() -> None:
    """End Ray, or leave the cluster."""
    ray.shutdown()


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
    except (OSError, UnicodeError) as error:  # the second: it can be no name
        raise InputError(f"nothing answers at {address}: {error}", source="--address") from None


@contextmanager
def on_cluster(
    experiment: Experiment, address: str | None, verbose: bool, view: View
) -> Iterator[Slots]:
    """Ray while the work lasts, and what each training gets of it."""
    with view.doing("starting Ray" if address is None else "connecting to Ray"):
        is_handed = given_as(experiment.trainable) is not None
        is_ours = connect(address, verbose, project_of(experiment.trainable), is_handed)
    try:
        yield slots_for(experiment.resources, may_wait=address is not None)
    finally:
        if is_ours:
            with view.doing("ending Ray's processes"):
                ray.shutdown()
