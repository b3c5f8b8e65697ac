"""What ``shoal doctor`` looks at on each node of a cluster, in a process there."""

from __future__ import annotations

import os
from typing import Any

from search.tools.mps import is_mps_on
from search.versions import versions
from spaces.code import load_function
from spaces.problems import InputError, RunError, without_keys
from spaces.project import restore_path
from trainables.checkpoints.checkpoints import filesystem


def look_around(place: str, token: str | None, code: tuple[str, str] | None) -> dict[str, Any]:
    """Runs on a node: its versions and GPUs, and whether it sees the storage and the code.

    Args:
        place: the storage.
        token: a file that must be seen there; None: there is none.
        code: the user's own function, and the folder of its project.
    """
    restore_path()
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # a task without GPUs may see none
    import torch

    from trainables.worker.tune_place import RayPlace

    faults = []
    try:
        if token is not None:
            files, folder = filesystem(place)
            with files.open_input_stream(f"{folder}/{token}") as stream:
                stream.read(1)
    except (OSError, RunError, InputError) as error:
        reason = " ".join(str(error).split())
        faults.append(
            f"does not see {without_keys(place)} ({reason}): set storage: to a folder that "
            "every node sees, or to an object store"
        )
    if code is not None:
        try:
            load_function(RayPlace().code(*code))
        except InputError as error:
            faults.append(f"can't import your code: {error}")
    devices = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    gpus = [f"{device.name} with {device.total_memory / 1e9:.0f} GB" for device in devices]
    return {"versions": versions(), "gpus": gpus, "mps": is_mps_on(), "faults": faults}
