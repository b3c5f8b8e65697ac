"""Where a worker of Ray runs: the place of the user's code, its folder, its device."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import ray
import torch

from spaces.training_config import AnyConfig


class RayPlace:
    """A process that Ray has started."""

    def code(self, reference: str, project: str | None) -> str:
        """Where the user's code lies in this process: Ray ships it to the workers of a cluster.

        Args:
            reference: ``/path/on/the/driver.py:function``.
            project: the folder of it that was shipped.
        """
        if project is None or not _is_shipped():
            return reference
        place, _, function = reference.rpartition(":")
        return f"{Path.cwd() / Path(place).relative_to(project)}:{function}"

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
