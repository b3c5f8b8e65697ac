"""Where a worker of Ray runs: the place of the user's code, its folder, its device."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import ray
import torch
from ray import cloudpickle

from spaces.given import Packed, receive
from spaces.training_config import AnyConfig


class RayPlace:
    """A process that Ray has started.

    Args:
        functions: those that the program which started the search has handed over, by what stands
            for them on the driver's machine.
    """

    def __init__(self, functions: Mapping[str, Packed] = MappingProxyType({})) -> None:
        self._functions = functions
        self._take = {
            reference: functools.cache(functools.partial(cloudpickle.loads, packed.pickled))
            for reference, packed in functions.items()
        }

    def code(self, reference: str, project: str | None) -> str:
        """Where the user's code lies in this process: Ray ships it to the workers of a cluster.

        Args:
            reference: ``/path/on/the/driver.py:function``.
            project: the folder of it that was shipped.
        """
        here = reference
        if project is not None and _is_shipped():
            place, _, function = reference.rpartition(":")
            here = f"{Path.cwd() / Path(place).relative_to(project)}:{function}"
        if reference in self._take:
            packed = self._functions[reference]
            home = None if _is_shipped() else packed.home
            sys.path += [place for place in packed.path if home and place not in sys.path]
            receive(here, self._take[reference], home)
        return here

    def enter(self, directory: str | None) -> None:
        """Work where the search began; shipped code works in its own copy of its folder."""
        if directory is not None and not _is_shipped():
            with contextlib.suppress(OSError):  # another machine; the driver's own was told
                os.chdir(directory)

    def device(self, config: AnyConfig) -> tuple[torch.device, tuple[str, ...]]:
        """The device to train on, by what Ray gave this process, and the ids of its GPUs."""
        if not ray.is_initialized():  # asking would start one
            return torch.device("cpu"), ()
        gpu_ids = tuple(str(gpu) for gpu in ray.get_runtime_context().get_accelerator_ids()["GPU"])
        has_gpu = bool(gpu_ids) and config.device == "auto" and torch.cuda.is_available()
        return torch.device("cuda" if has_gpu else "cpu"), gpu_ids


def _is_shipped() -> bool:
    """Whether Ray has brought the user's code to this node."""
    if not ray.is_initialized():
        return False
    return bool(ray.get_runtime_context().runtime_env.get("working_dir"))
