"""``shoal doctor``: what a search needs of this machine and of a cluster, checked line by line."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement

from search.tools.mps import mps_line
from search.tools.on_node import look_around
from search.transport.on_ray.cluster import ask_node, connect, disconnect
from search.transport.on_ray.slots import living_nodes, slots_for
from search.transport.on_ray.start_faults import start_faults
from search.versions import versions
from spaces.experiment import Experiment
from spaces.files import load_experiment
from spaces.imports import project_of
from spaces.problems import InputError, RunError, without_keys
from spaces.settings.own_data import OwnData
from trainables.checkpoints.checkpoints import Checkpoints, filesystem
from trainables.data.datasets import read
from trainables.data.sources import data_root
from trainables.data.splits import load_data

NODE_SECONDS = 120.0  # a node may have to start a process and import torch
_PROBE_BYTES = 32_000_000
_SLOW_MB_PER_SECOND = 20.0
_SCARCE_BYTES = 2e9
_COMPARED = ("python", "shoal", "ray", "torch", "numpy")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``message`` says what to do where it is not ok."""

    verdict: Literal["ok", "warning", "fault"]
    what: str
    message: str


def examine(spec: str | None, changes: list[str], address: str | None) -> Iterator[Finding]:
    """Look at everything that a search needs, the nearest first.

    Args:
        spec: a file or a study's name, whose storage, code, data and resources are looked at, too.
        changes: settings to replace in it, each as ``a.b=value``.
        address: of a Ray cluster; None: this machine.
    """
    yield from _packages()
    yield _run_folder(Path("runs"))
    experiment = None
    if spec is not None:
        try:
            experiment = load_experiment(spec, changes)
            yield Finding("ok", "experiment", "no mistakes in the file, nor in its code")
        except InputError as error:
            yield Finding("fault", "experiment", str(error))
    if experiment is not None and experiment.trainable is None:
        yield _dataset(experiment)
    place, shown = _place(experiment)
    token, written = f"shoal-doctor-{secrets.token_hex(8)}", None
    try:
        yield _write_probe(place, token, shown)
        written = token
    except (OSError, RunError, InputError) as error:
        yield Finding("fault", shown, f"can't be written: {' '.join(str(error).split())}")
    try:
        yield from _on_ray(experiment, address, place, written)
    finally:
        yield from _remove_probe(place, token, shown, is_whole=written is not None)


def _on_ray(
    experiment: Experiment | None, address: str | None, place: str, token: str | None
) -> Iterator[Finding]:
    """What is found on Ray, or all that keeps it from being reached."""
    if faults := start_faults(address):
        yield from (Finding("fault", f"ray, {fault.path}", fault.message) for fault in faults)
        return
    code = None if experiment is None else project_of(experiment.trainable)
    try:
        is_ours = connect(address, verbose=False, code=code)
    except InputError as error:
        yield Finding("fault", "ray", str(error))
        if code is None:
            return
        try:
            is_ours, code = connect(address, verbose=False), None
        except InputError:  # it was not the code
            return
    try:
        own = None
        if experiment is not None and experiment.trainable is not None and code is not None:
            own = experiment.trainable, str(code)
        yield from _cluster(experiment, address, (place, token, own))
    finally:
        if is_ours:
            disconnect()


def _packages() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()}")
    try:
        needs = importlib.metadata.requires("shoal") or []
    except importlib.metadata.PackageNotFoundError:  # its folder is on Python's path, say
        yield Finding("warning", "shoal", "is not installed: what it needs was not checked")
        needs = []
    for text in needs:
        need = Requirement(text)
        if need.marker is not None and not need.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("fault", need.name, f"is not installed: pip install '{need}'")
            continue
        if need.specifier.contains(found, prereleases=True):
            yield Finding("ok", need.name, found)
        else:
            yield Finding("fault", need.name, f"{found} is installed: pip install '{need}'")


def _run_folder(folder: Path) -> Finding:
    """Write a file where run folders are made, force it to the disk, and time that."""
    nearest = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    what, data = f"run folder {folder.resolve()}", os.urandom(_PROBE_BYTES)
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            began = time.perf_counter()
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            seconds = time.perf_counter() - began
    except OSError as error:
        return Finding("fault", what, f"can't be written: {error.strerror}")
    free = shutil.disk_usage(nearest).free
    return _speed(what, seconds, f"{free / 1e9:.1f} GB free", is_scarce=free < _SCARCE_BYTES)


def _speed(what: str, seconds: float, more: str, is_scarce: bool = False) -> Finding:
    rate = _PROBE_BYTES / 1e6 / seconds
    message = f"writes {rate:.0f} MB/s, {more}"
    if is_scarce:
        return Finding("warning", what, f"{message}; make room")
    if rate < _SLOW_MB_PER_SECOND:
        return Finding("warning", what, f"{message}: slow, every epoch writes a checkpoint")
    return Finding("ok", what, message)


def _dataset(experiment: Experiment) -> Finding:
    settings = experiment.dataset
    what = f"dataset {settings.name}"
    try:
        if isinstance(settings, OwnData):
            split = load_data(settings, experiment.seed).train
        else:
            split, _ = read(settings, "train", download=False)
    except InputError as error:
        if isinstance(settings, OwnData) or settings.name == "image_folder":
            return Finding("fault", what, str(error))
        root = data_root(settings).resolve()
        return Finding("warning", what, f"is not in {root}; a search downloads it first, if it can")
    return Finding("ok", what, f"{len(split)} training samples")


def _cluster(
    experiment: Experiment | None,
    address: str | None,
    sought: tuple[str, str | None, tuple[str, str] | None],
) -> Iterator[Finding]:
    nodes = living_nodes()
    yield Finding("ok", "ray", f"{len(nodes)} nodes" if len(nodes) != 1 else "one node")
    for node in nodes:
        yield from _node(node, *sought)
    if experiment is not None:
        yield _slots(experiment, address)


def _place(experiment: Experiment | None) -> tuple[str, str]:
    """Where checkpoints go: the storage, or the runs' own folder; and how to call it."""
    if experiment is not None and experiment.storage is not None:
        return experiment.storage, f"storage {without_keys(experiment.storage)}"
    nearest = next(path for path in (Path("runs"), Path.cwd()) if path.is_dir())
    return str(nearest.resolve()), f"storage {nearest.resolve()} (none is set)"


def _write_probe(place: str, token: str, shown: str) -> Finding:
    """Leave a file in the storage for the nodes to look for."""
    Checkpoints(place, 0).try_root()
    files, folder = filesystem(place)
    began = time.perf_counter()
    with files.open_output_stream(f"{folder}/{token}") as stream:
        stream.write(os.urandom(_PROBE_BYTES))
    return _speed(shown, time.perf_counter() - began, "for checkpoints")


def _remove_probe(place: str, token: str, shown: str, is_whole: bool) -> Iterator[Finding]:
    """Delete the file, or what there is of it, where the writing failed midway."""
    try:
        files, folder = filesystem(place)
        files.delete_file(f"{folder}/{token}")
    except (OSError, RunError, InputError) as error:
        if is_whole:  # else there may be none
            reason = " ".join(str(error).split())
            message = f"{token} can't be deleted, as old checkpoints are: {reason}"
            yield Finding("fault", shown, message)


def _node(
    node: dict[str, Any], place: str, token: str | None, code: tuple[str, str] | None
) -> Iterator[Finding]:
    """What one node has, and what it sees."""
    what = f"node {node['NodeManagerAddress']}"
    has = node["Resources"]
    try:
        seen = ask_node(node, NODE_SECONDS, look_around, place, token, code)
    except TimeoutError:
        yield Finding("fault", what, f"did not answer within {NODE_SECONDS:.0f} s")
        return
    except Exception as error:
        last = str(error).strip().splitlines()[-1]
        yield Finding("fault", what, f"{last}; is Shoal installed there, in the same version?")
        return
    gpus = int(has.get("GPU", 0))
    yield Finding(
        "ok",
        what,
        f"{has.get('CPU', 0):g} CPUs, {has.get('memory', 0) / 1e9:.0f} GB memory, "
        f"{', '.join(seen['gpus']) or f'{gpus} GPUs'}",
    )
    if gpus and not seen["gpus"]:
        torch_version = seen["versions"].get("torch")
        message = f"torch {torch_version} sees none of its {gpus} GPUs: install a CUDA build"
        yield Finding("fault", what, message)
    if seen["gpus"]:
        yield Finding("ok", what, mps_line(seen["mps"]))
    here = versions()
    for name in _COMPARED:
        there = seen["versions"].get(name)
        if there != here.get(name):
            yield Finding("fault", what, f"has {name} {there}, here it is {here.get(name)}")
    for fault in seen["faults"]:
        yield Finding("fault", what, fault)


def _slots(experiment: Experiment, address: str | None) -> Finding:
    try:
        slots = slots_for(experiment.resources, may_wait=address is not None)
    except InputError as error:
        return Finding("fault", "resources", str(error))
    asked = f"{slots.cpus:g} CPUs and {slots.gpus:g} GPUs each"
    if experiment.resources.gpus == "pack":
        asked += ", or more where several share a GPU: the search measures how many"
    if slots.count() == 0:
        message = f"no node has {asked}; a search waits until one joins"
        return Finding("warning", "resources", message)
    return Finding("ok", "resources", f"{slots.count()} trials at a time, with {asked}")
